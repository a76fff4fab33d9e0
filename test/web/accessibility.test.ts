import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import type axe from 'axe-core'
import type { Locator, Page } from 'playwright-core'
import { type AgentsScene, openChat, startAgentsScene } from '../agents/scene.ts'
import { ask } from '../support/agents.ts'
import { shows, startBrowser, type TestBrowser, withoutBrowser } from '../support/browser.ts'
import type { Person } from '../support/people.ts'
import { upload } from '../support/uploads.ts'
import { directOf } from './scene.ts'

declare global {
  interface Window {
    axe: typeof axe
  }
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const sections = [
  ...['profile', 'security', 'sessions', 'preferences', 'blocked', 'agents'],
  ...['plan', 'usage', 'credits', 'payments'],
]

const looks = [
  { locale: 'en-US', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  { locale: 'ko-KR', colorScheme: 'dark', viewport: { width: 390, height: 844 } },
] as const

describe('each screen is for everybody', { skip: withoutBrowser }, () => {
  let scene: AgentsScene
  let browser: TestBrowser
  let ann: Person
  let ben: Person
  let direct = ''
  let chat = ''
  before(async () => {
    scene = await startAgentsScene({ GUESTS: 'on' })
    browser = await startBrowser()
    ;[ann, ben] = await Promise.all([scene.person('ann'), scene.person('ben')])
    direct = await directOf(scene.url, ann, ben)
    const { id } = await upload(scene.url, ben.session.accessToken)
    const sent = await ben.do('message:send', { conversationId: direct, clientId: '1', content: 'A **question**?' })
    await ben.do('message:send', { conversationId: direct, clientId: '2', content: 'A picture', attachmentIds: [id] })
    await ann.do('message:send', { conversationId: direct, clientId: '3', content: 'An answer', replyToId: sent.id })
    await ben.do('reaction:add', { conversationId: direct, messageId: sent.id, emoji: '👍' })
    await ask(scene.url, ben.session.accessToken, 'POST', '/stories', { caption: 'Rain over the harbour' })
    scene.models.script('m1', { chunks: ['# Title\n\n- one\n- two\n\n```js\nconst a = 1\n```'] })
    scene.models.script('m2', { chunks: ['| a | b |\n|---|---|\n| 1 | 2 |'] })
    chat = await openChat(ann, 'm1', 'm2')
    await ann.do('message:send', { conversationId: chat, clientId: '1', content: 'Compare.' })
  })
  after(async () => {
    await browser?.close()
    await scene?.end()
  })

  /** What axe finds of serious or critical impact, in words. */
  async function violations(page: Page): Promise<string[]> {
    // the page's own policy lets no script in but its own: the debugger's way is beside it
    const session = await page.context().newCDPSession(page)
    await session.send('Runtime.evaluate', { expression: axeSource })
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
    return found.violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`)
  }

  for (const look of looks)
    test(`in ${look.locale}, ${look.colorScheme}, ${look.viewport.width} pixels wide`, async (t) => {
      const signedOut = await browser.open(scene.url, '/', look)
      const { page } = await browser.openAs(scene.url, ann.session, '/', look)

      await t.test('sign-in', async () => {
        await shows(signedOut.page.locator('form'))
        assert.deepEqual(await violations(signedOut.page), [])
      })

      const main = page.getByRole('main')
      const screens: Record<string, { path: string; shown: Locator }> = {
        list: { path: '/', shown: page.getByRole('complementary').getByRole('link') },
        conversation: { path: `/c/${direct}`, shown: page.locator('[data-seq="3"]') },
        comparison: { path: `/c/${chat}`, shown: page.locator('.comparison table') },
        invitation: { path: `/invite/${ben.username}`, shown: main.getByRole('button') },
        'own invitation': { path: `/invite/${ann.username}`, shown: main.getByRole('img') },
        settings: { path: '/settings', shown: page.getByRole('navigation').getByRole('link') },
      }
      for (const section of sections)
        screens[`settings: ${section}`] = { path: `/settings/${section}`, shown: main.getByRole('heading') }
      for (const [name, { path, shown }] of Object.entries(screens))
        await t.test(name, async () => {
          await page.goto(path)
          await shows(shown)
          await page.waitForLoadState('networkidle')
          assert.deepEqual(await violations(page), [])
        })

      const dialogs: Record<string, { path: string; button: Locator }> = {
        'new conversation': { path: '/', button: page.locator('.conv-head-line button').last() },
        'invitation to give': { path: '/', button: page.locator('.conv-head-line button').first() },
        story: { path: '/', button: page.locator('.stories-ring').last() },
        'about a conversation': { path: `/c/${direct}`, button: page.locator('.chat-head > button').last() },
        'search in a conversation': { path: `/c/${direct}`, button: page.locator('.chat-head > button').first() },
        models: { path: `/c/${chat}`, button: page.locator('.model-button') },
        picture: { path: `/c/${direct}`, button: page.locator('[data-seq="2"] button:has(img)') },
      }
      for (const [name, { path, button }] of Object.entries(dialogs))
        await t.test(name, async () => {
          await page.goto(path)
          await button.click()
          await shows(page.getByRole('dialog'))
          await page.waitForLoadState('networkidle')
          assert.deepEqual(await violations(page), [])
        })

      await page.context().close()
      await signedOut.context.close()
    })
})
