import type { CDPSession, Page } from 'playwright-core'
import { startBrowser } from '../../test/support/browser.ts'
import type { PageJob, PageResult } from '../jobs.ts'
import { percentile } from '../measure.ts'
import { openClient } from './client.ts'

const openingTimes = 5
/** What one turn of a wheel moves, in pixels. */
const turn = 600
/** No conversation takes so many turns. */
const maxTurns = 5_000

/** Kept in the page by {@link watch}. */
interface Watched {
  lastAnswerAt: number
  shownAt: number
  frames: number[]
  longTasks: number[]
  /** Tasks that began earlier do not count. */
  scrollingSince: number
  seen: Set<number>
  elements: number
}

declare global {
  interface Window {
    watched: Watched
  }
}

/** Opens the page at the conversation a few times, and scrolls through the whole of it once. */
export async function runPage({ urls, world }: PageJob): Promise<PageResult> {
  const { people, rooms } = world
  const [url, person, room, other] = [urls[0], people[0], ...rooms]
  if (!url || !person || !room || !other) throw new RangeError('nobody, or nothing to look at')
  // else it would be opened where the unread ones begin
  const reader = await openClient(urls, world, 0)
  for (const { id, length } of rooms) await reader.command('receipt:read', { conversationId: id, seq: length })
  reader.close()
  const browser = await startBrowser()
  try {
    const user = {
      ...{ id: person.id, kind: 'human' as const, username: 'bench', displayName: 'Bench' },
      ...{ emailVerified: false, locale: 'en', role: 'user' as const, createdAt: new Date().toISOString() },
    }
    const session = { user, accessToken: person.token, expiresIn: 86_400 }
    const { page, context } = await browser.openAs(url, session)
    await context.addInitScript(watch)
    const coldOpenings: number[] = []
    for (let time = 0; time < openingTimes; time++) {
      await page.goto(`/c/${room.id}`)
      await page.waitForFunction((last) => window.watched.seen.has(last), room.length)
      coldOpenings.push(await page.evaluate(() => window.watched.shownAt - window.watched.lastAnswerAt))
    }
    const openings: number[] = []
    for (let time = 0; time < openingTimes; time++) {
      await page.evaluate(openFromList, { id: other.id, seq: other.length })
      openings.push(await page.evaluate(openFromList, { id: room.id, seq: room.length }))
    }
    const devTools = await context.newCDPSession(page)
    const heapBefore = await heapOf(devTools)
    const begun = performance.now()
    await scrollToBeginning(page)
    const seconds = (performance.now() - begun) / 1000
    const scrolled = await page.evaluate(() => ({ ...window.watched, seen: window.watched.seen.size }))
    return {
      coldOpenings,
      openings,
      messages: scrolled.seen,
      seconds,
      frameP50: percentile(scrolled.frames, 0.5),
      frameP99: percentile(scrolled.frames, 0.99),
      longTasks: scrolled.longTasks,
      elements: scrolled.elements,
      heapBefore,
      heapAfter: await heapOf(devTools),
    }
  } finally {
    await browser.close()
  }
}

async function scrollToBeginning(page: Page): Promise<void> {
  await page.locator('[data-seq]').first().hover()
  await page.evaluate(() => {
    window.watched.scrollingSince = performance.now()
    window.watched.frames = []
  })
  for (let turns = 0; turns < maxTurns; turns++) {
    await page.mouse.wheel(0, -turn)
    await page.evaluate(() => new Promise(requestAnimationFrame))
    if (await page.evaluate(() => window.watched.seen.has(1))) return
  }
  throw new Error('the beginning of the conversation was not reached')
}

async function heapOf(devTools: CDPSession): Promise<number> {
  await devTools.send('HeapProfiler.collectGarbage')
  return (await devTools.send('Runtime.getHeapUsage')).usedSize
}

/** Runs in the page: presses a conversation in the list, and gives the time until its newest message is on the screen. */
async function openFromList({ id, seq }: { id: string; seq: number }): Promise<number> {
  const begun = performance.now()
  document.querySelector<HTMLAnchorElement>(`a[href="/c/${id}"]`)?.click()
  const isShown = () => location.pathname.endsWith(id) && document.querySelector(`[data-seq="${seq}"]`) !== null
  while (!isShown()) await new Promise(requestAnimationFrame)
  return performance.now() - begun
}

/** Runs in the page, before its scripts. */
function watch(): void {
  const watched: Watched = {
    ...{ lastAnswerAt: 0, shownAt: 0, elements: 0 },
    ...{ frames: [], longTasks: [], scrollingSince: Infinity, seen: new Set<number>() },
  }
  window.watched = watched
  const Plain = window.WebSocket
  window.WebSocket = class extends Plain {
    constructor(...options: ConstructorParameters<typeof WebSocket>) {
      super(...options)
      this.addEventListener('message', ({ data }) => {
        // the answers to what is asked beside it say nothing of when it could be shown
        const isPage = typeof data === 'string' && data.includes('"messages":[{')
        if (watched.shownAt === 0 && isPage) watched.lastAnswerAt = performance.now()
      })
    }
  }
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      if (startTime >= watched.scrollingSince) watched.longTasks.push(duration)
  }).observe({ type: 'longtask' })

  let last = performance.now()
  const look = (now: number): void => {
    watched.frames.push(now - last)
    last = now
    for (const row of document.querySelectorAll<HTMLElement>('[data-seq]')) watched.seen.add(Number(row.dataset.seq))
    if (watched.shownAt === 0 && watched.seen.size > 0) watched.shownAt = performance.now()
    watched.elements = Math.max(watched.elements, document.getElementsByTagName('*').length)
    requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
}
