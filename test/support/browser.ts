import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from 'playwright-core'
import type { Session } from '../../src/identity/identity.contract.ts'
import { orFail, program } from './services.ts'

const executablePath = program('chromium')

/** For `skip`: why a test in a browser cannot run here. */
export const withoutBrowser = orFail(executablePath ? false : 'Chromium is not installed')

/** How long the page may take to show something, in milliseconds: machines that test are slow. */
const limitMs = 15_000

/** One person's window: a profile of its own, and what went wrong in it. */
export interface TestWindow {
  page: Page
  context: BrowserContext
  /** Errors that nobody caught, refused scripts and styles, and errors on the console, in the order in which they came. */
  problems: string[]
}

type Login = Pick<Session, 'user' | 'accessToken' | 'refreshToken' | 'expiresIn'>

export interface TestBrowser {
  /** A new profile with one tab, at a path of that server. */
  open(url: string, path?: string, options?: WindowOptions): Promise<TestWindow>
  /** The same, signed in by a login from elsewhere. */
  openAs(url: string, session: Login, path?: string, options?: WindowOptions): Promise<TestWindow>
  close(): Promise<void>
}

export interface WindowOptions {
  locale?: 'en-US' | 'ko-KR'
  colorScheme?: 'light' | 'dark'
  viewport?: { width: number; height: number }
}

/** Debian's Chromium, headless, with the page as `npm run build:web` has built it. */
export async function startBrowser(): Promise<TestBrowser> {
  const index = join(import.meta.dirname, '../../web/dist/index.html')
  assert.ok(existsSync(index), 'the page is not built: npm run build:web')
  const browser = await chromium.launch({
    executablePath: executablePath ?? 'chromium',
    args: [
      // as root, as in containers, Chromium has no sandbox of its own
      '--no-sandbox',
      '--disable-gpu',
      // it looks for its maker's servers otherwise
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  })
  return {
    open: (url, path = '/', options = {}) => open(browser, url, path, options),
    openAs: (url, session, path = '/', options = {}) => open(browser, url, path, options, session),
    close: () => browser.close(),
  }
}

async function open(
  browser: Browser,
  url: string,
  path: string,
  { locale = 'en-US', colorScheme = 'light', viewport = { width: 1280, height: 800 } }: WindowOptions,
  session?: Login,
): Promise<TestWindow> {
  const context = await browser.newContext({ baseURL: url, locale, colorScheme, viewport, reducedMotion: 'reduce' })
  context.setDefaultTimeout(limitMs)
  if (session) await context.addInitScript(keepLogin, loginOf(session))
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' && !isOfTheNetwork(message.text())) problems.push(message.text())
  })
  await page.goto(path)
  return { page, context, problems }
}

/** What the browser itself says where an answer is a refusal, or the server cannot be reached. */
const isOfTheNetwork = (text: string): boolean =>
  /^Failed to load resource: |^WebSocket connection to .* failed: /.test(text)

/** As the client package keeps it. */
function loginOf({ user, accessToken, refreshToken, expiresIn }: Login): string {
  const issuedAt = Date.now()
  const expiresAt = issuedAt + expiresIn * 1000
  return JSON.stringify({ userId: user.id, accessToken, refreshToken, issuedAt, expiresAt })
}

/** Runs in the page, before its scripts; not once somebody has signed in or out there. */
function keepLogin(login: string): void {
  if (sessionStorage.getItem('test.login')) return
  sessionStorage.setItem('test.login', 'kept')
  localStorage.setItem('kintsugi.login', login)
}

/** Waits until the page shows it. */
export const shows = (what: Locator): Promise<void> => what.first().waitFor({ state: 'visible', timeout: limitMs })

/** Waits until the page does not show it any more. */
export const hides = (what: Locator): Promise<void> => what.first().waitFor({ state: 'hidden', timeout: limitMs })
