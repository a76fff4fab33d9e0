import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { openWay, type Way } from '../faults/way.ts'
import { historyOf } from '../messenger/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { hides, shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import { join, type Person } from '../support/people.ts'
import { directOf, message, textsOf, wentWell, write } from './scene.ts'

const outageMs = 10_000

describe('ten seconds without a connection lose nothing and double nothing', { skip: withoutBrowser }, () => {
  let server: Backend
  let browser: TestBrowser
  let way: Way
  let ann: Person
  let ben: Person
  let page: TestWindow
  let conversationId = ''
  before(async () => {
    server = await startBackend()
    browser = await startBrowser()
    way = await openWay(server.url)
    ;[ann, ben] = await Promise.all([join(server.url, 'ann'), join(server.url, 'ben')])
    conversationId = await directOf(server.url, ann, ben)
    // the page is served, and its socket opened, by a way that can be cut
    page = await browser.openAs(way.url, ann.session, `/c/${conversationId}`)
    await write(page.page, 'before')
    await shows(message(page.page, 'before').getByText(/^(Sent|Delivered|Read)$/))
  })
  after(async () => {
    await browser?.close()
    ann?.close()
    ben?.close()
    way?.close()
    await server?.end()
  })

  test('what is written meanwhile waits, and the page says so', async () => {
    way.sever()
    await shows(page.page.getByText('You are offline.'))
    await shows(page.page.getByText(/^You are offline\..*(Next try in \d+ seconds?\.|Connecting…)/))
    for (const text of ['first', 'second', 'third']) await write(page.page, text)
    await shows(page.page.getByText('3 messages wait to be sent.'))
    for (const content of ['one', 'two']) await ben.do('message:send', { conversationId, clientId: content, content })
    await pause(outageMs)
    await shows(message(page.page, 'third'))
  })

  test('with the connection everything is there once, in the order of the server', async () => {
    way.mend()
    await hides(page.page.getByText('You are offline.'))
    await shows(message(page.page, 'two'))
    const expected = ['before', 'one', 'two', 'first', 'second', 'third']
    for (const text of expected) await shows(message(page.page, text))
    await page.page.waitForFunction(
      (count) => document.querySelectorAll('[data-seq]').length === count,
      expected.length,
    )
    assert.deepEqual(await textsOf(page.page), expected)
    const stored = (await historyOf(ben, conversationId)).map(({ content }) => content)
    assert.deepEqual(stored, expected)
    wentWell(page)
  })
})
