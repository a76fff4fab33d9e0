import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { type AgentsScene, openChat, startAgentsScene } from '../agents/scene.ts'
import { hides, shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import type { Person } from '../support/people.ts'
import { composer, directOf, history, message, wentWell, write } from './scene.ts'

const total = 700
/** Far back, and of a word that no other has. */
const sought = 100

/** Of many heights, as messages are. */
const textOf = (seq: number): string =>
  `number ${seq}${seq === sought ? ' quince' : ''}${'\n\nand more of it'.repeat(seq % 7 === 0 ? 4 : 0)}`

describe('a long history', { skip: withoutBrowser }, () => {
  let scene: AgentsScene
  let browser: TestBrowser
  let ann: Person
  let ben: Person
  let opened: TestWindow
  let page: Page
  let conversationId = ''
  /** How many older messages the page has asked for since it was loaded. */
  let asked = 0
  before(async () => {
    scene = await startAgentsScene()
    browser = await startBrowser()
    ;[ann, ben] = await Promise.all([scene.person('ann'), scene.person('ben')])
    conversationId = await directOf(scene.url, ann, ben)
    const seqs = Array.from({ length: total }, (_, index) => index + 1)
    await Promise.all(
      seqs.map((seq) => ben.do('message:send', { conversationId, clientId: `m${seq}`, content: textOf(seq) })),
    )
    await ann.do('receipt:read', { conversationId, seq: total })
    opened = await browser.openAs(scene.url, ann.session)
    page = opened.page
    page.on('websocket', (socket) => {
      asked = 0
      socket.on('framesent', ({ payload }) => {
        const [, limit] = /"message:history".*"limit":(\d+)/.exec(String(payload)) ?? []
        asked += Number(limit ?? 0)
      })
    })
    await page.goto(`/c/${conversationId}`)
    await shows(message(page, `number ${total}`))
  })
  after(async () => {
    await browser?.close()
    await scene?.end()
  })

  const entry = (): Locator => page.getByRole('complementary').getByRole('link', { name: /^ben / })
  const toNewest = (): Locator => page.getByRole('button', { name: /To the newest/ })
  const drawn = (): Promise<number> => page.locator('[data-seq]').count()
  const say = (content: string) => ben.do('message:send', { conversationId, clientId: content, content })
  const isInView = (of: Locator): Promise<boolean> =>
    of.evaluate((element) => {
      const { top, bottom } = element.getBoundingClientRect()
      const list = element.closest('[role=log]')?.getBoundingClientRect()
      return list !== undefined && bottom > list.top && top < list.bottom
    })

  test('it opens at the end, and little of it is loaded or drawn', async () => {
    assert.ok(await isInView(message(page, `number ${total}`)))
    assert.ok(asked < 200, `${asked} messages were asked for`)
    assert.ok((await drawn()) < 80)
    assert.equal(await toNewest().count(), 0)
  })

  test('what is above is loaded while the message in view stays where it is', async () => {
    for (let turn = 0; turn < 3; turn++) {
      const moved = await history(page).evaluate(async (list) => {
        const frame = () => new Promise(requestAnimationFrame)
        list.scrollTop = 0
        await frame()
        await frame()
        const first = list.querySelector<HTMLElement>('[data-seq]')
        const seq = first?.dataset['seq']
        const before = first?.getBoundingClientRect().top ?? 0
        const since = performance.now()
        while (list.scrollTop < 1000 && performance.now() - since < 10_000) await frame()
        for (let count = 0; count < 5; count++) await frame()
        const after = list.querySelector(`[data-seq="${seq}"]`)?.getBoundingClientRect().top
        return after === undefined ? Number.NaN : Math.abs(after - before)
      })
      assert.ok(moved <= 1, `it has moved by ${moved} pixels`)
    }
    assert.ok((await drawn()) < 80)
  })

  test('a search leads to a message six hundred back, without the whole, and a press to the newest', async () => {
    await page.goto(`/c/${conversationId}`)
    await shows(message(page, `number ${total}`))
    await page.getByRole('button', { name: 'Search in this conversation' }).click()
    const dialog = page.getByRole('dialog', { name: 'Search in “ben”' })
    await dialog.getByRole('searchbox').fill('quince')
    await dialog.getByRole('link', { name: /number 100 quince/ }).click()
    await hides(dialog)
    const found = message(page, 'number 100 quince')
    await found.and(page.locator(':focus')).waitFor()
    assert.ok(await isInView(found))
    assert.ok(asked < total, `${asked} messages were asked for`)
    assert.ok((await drawn()) < 80)
    await toNewest().click()
    await shows(message(page, `number ${total}`))
    await hides(toNewest())
    assert.ok(await isInView(message(page, `number ${total}`)))
  })

  test('who reads further up is not moved by what comes, and told of it', async () => {
    await history(page).evaluate((list) => {
      list.scrollTop -= 2000
    })
    await shows(toNewest())
    const top = await history(page).evaluate((list) => list.scrollTop)
    await say('news from below')
    await shows(page.getByRole('button', { name: '1 new message. To the newest' }))
    assert.equal(await history(page).evaluate((list) => list.scrollTop), top)
    await toNewest().click()
    await shows(message(page, 'news from below'))
    await hides(entry().getByText(/unread/))
    // one's own is followed from wherever it is written
    await history(page).evaluate((list) => {
      list.scrollTop -= 2000
    })
    await shows(toNewest())
    await write(page, 'an answer')
    await shows(message(page, 'an answer'))
    await hides(toNewest())
  })

  test('what came meanwhile is counted, and a line stands before it until one leaves', async () => {
    await page.goto('/')
    for (const text of ['first of three', 'second of three', 'third of three']) await say(text)
    await shows(entry().getByText('3 unread messages'))
    await page.waitForFunction(() => document.title === '(3) Kintsugi')
    await entry().click()
    await shows(composer(page))
    const line = history(page).getByText('New messages')
    await shows(line)
    const below = (await message(page, 'first of three').boundingBox())?.y ?? 0
    const above = (await message(page, 'an answer').boundingBox())?.y ?? 0
    const between = (await line.boundingBox())?.y ?? 0
    assert.ok(above < between && between < below, JSON.stringify({ above, between, below }))
    await hides(entry().getByText(/unread/))
    await page.waitForFunction(() => document.title === 'Kintsugi')
    await say('a fourth')
    await shows(message(page, 'a fourth'))
    assert.equal(await line.count(), 1)
    await page.getByRole('link', { name: 'Your account and settings' }).click()
    await hides(history(page))
    await hides(entry().getByText(/unread/))
    await entry().click()
    await shows(message(page, 'a fourth'))
    assert.equal(await line.count(), 0)
  })

  test('an answer that grows is followed to its end, until somebody scrolls up', async () => {
    const lines = Array.from({ length: 300 }, (_, index) => `line ${index}.\n\n`)
    scene.models.script('m1', { chunks: lines, pauseMs: 15 })
    const chat = await openChat(ann, 'm1')
    await page.goto(`/c/${chat}`)
    await shows(composer(page))
    await ann.do('message:send', { conversationId: chat, clientId: 'q', content: 'Go on.' })
    const list = history(page)
    const below = () => list.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight)
    await shows(message(page, 'line 60.'))
    assert.ok((await below()) < 60)
    await list.hover()
    await page.mouse.wheel(0, -400)
    await shows(page.getByRole('button', { name: 'To the newest message' }))
    const top = await list.evaluate((box) => box.scrollTop)
    await shows(message(page, 'line 120.'))
    assert.equal(await list.evaluate((box) => box.scrollTop), top)
    assert.ok((await below()) > 400)
    await page.getByRole('button', { name: 'To the newest message' }).click()
    await shows(message(page, 'line 160.'))
    assert.ok((await below()) < 60)
  })

  test('nothing went wrong unseen', () => wentWell(opened))
})
