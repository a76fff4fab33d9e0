import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type AgentsScene, openChat, startAgentsScene } from '../agents/scene.ts'
import { ask } from '../support/agents.ts'
import { shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import type { Person } from '../support/people.ts'
import { hostileFileNames, hostileNames, hostileTexts } from './hostile.ts'
import { history, message, wentWell } from './scene.ts'

declare global {
  interface Window {
    pwned(what: number): void
    victim: number[]
  }
}

describe('what somebody writes runs nothing, loads nothing and breaks nothing', { skip: withoutBrowser }, () => {
  let scene: AgentsScene
  let browser: TestBrowser
  let ann: Person
  let mallory: Person
  let page: Page
  let opened: TestWindow
  const asked: string[] = []
  before(async () => {
    scene = await startAgentsScene()
    browser = await startBrowser()
    ;[ann, mallory] = await Promise.all([scene.person('ann'), scene.person('mallory')])
    opened = await browser.openAs(scene.url, ann.session)
    page = opened.page
    page.on('request', (request) => asked.push(request.url()))
    page.on('dialog', (dialog) => void dialog.dismiss())
    await opened.context.addInitScript(() => {
      window.victim = []
      window.pwned = (what) => window.victim.push(what)
    })
  })
  after(async () => {
    await browser?.close()
    await scene?.end()
  })

  /** Nothing has run, nothing was asked of anybody else, and everything is where it belongs. */
  async function isUnharmed(): Promise<void> {
    assert.deepEqual(await page.evaluate(() => window.victim), [])
    const isOwn = (url: string) => url.startsWith(scene.url) || /^(data|blob):/.test(url)
    assert.deepEqual(
      asked.filter((url) => !isOwn(url)),
      [],
    )
    assert.equal(new URL(page.url()).origin, scene.url)
    const { overflow, misplaced } = await page.evaluate(() => {
      const width = document.documentElement.clientWidth
      const log = document.querySelector('[role=log]')
      const inner = log?.getBoundingClientRect()
      const rows = [...document.querySelectorAll('[data-seq]')].map((row) => row.getBoundingClientRect())
      return {
        overflow: document.documentElement.scrollWidth - width,
        misplaced: rows.filter((box) => inner && (box.left < inner.left - 1 || box.right > inner.right + 1)).length,
      }
    })
    assert.deepEqual({ overflow, misplaced }, { overflow: 0, misplaced: 0 })
    wentWell(opened)
  }

  /** From the end to the beginning, so that everything was drawn once. */
  async function scrollThrough(): Promise<void> {
    await history(page).hover()
    for (let turn = 0; turn < 60; turn++) {
      await isUnharmed()
      if (await page.locator('[data-seq="1"]').count()) return
      await page.mouse.wheel(0, -600)
      await page.evaluate(() => new Promise(requestAnimationFrame))
    }
    assert.fail('the beginning was not reached')
  }

  test('in messages, by people', async () => {
    const { body } = await ask<{ id: string }>(scene.url, mallory.session.accessToken, 'POST', '/conversations', {
      type: 'direct',
      participantIds: [ann.id],
    })
    for (const [index, content] of hostileTexts.entries())
      await mallory.do('message:send', { conversationId: body.id, clientId: `h${index}`, content })
    const said = { conversationId: body.id, clientId: 'end', content: 'that was all' }
    const { seq } = await mallory.do('message:send', said)
    // else it opens where the unread ones begin
    await page.goto(`/c/${body.id}?at=${seq}`)
    await shows(message(page, 'that was all'))
    await scrollThrough()
  })

  test('in names, titles and file names', async () => {
    const { accessToken } = mallory.session
    for (const [index, name] of hostileNames.entries()) {
      await ask(scene.url, accessToken, 'PATCH', '/me', { displayName: name.slice(0, 60) })
      const { body } = await ask<{ id: string }>(scene.url, accessToken, 'POST', '/conversations', {
        type: 'group',
        title: name,
        participantIds: [ann.id],
      })
      if (index % 4 !== 0) continue
      await mallory.do('message:send', { conversationId: body.id, clientId: 'n', content: `number ${index}` })
      await page.goto(`/c/${body.id}`)
      await shows(message(page, `number ${index}`))
      await isUnharmed()
    }
    const direct = await mallory.do('conversation:create', { type: 'direct', participantIds: [ann.id] })
    for (const [index, name] of hostileFileNames.entries()) {
      const form = new FormData()
      form.append('file', new Blob([`content ${index}`], { type: 'text/plain' }), name)
      const headers = { authorization: `Bearer ${accessToken}` }
      const uploaded = await fetch(`${scene.url}/v1/uploads`, { method: 'POST', headers, body: form })
      // some names the server does not take at all
      if (uploaded.status !== 201) continue
      const { id } = (await uploaded.json()) as { id: string }
      const said = { content: `file ${index}`, attachmentIds: [id] }
      const sent = await mallory.do('message:send', { conversationId: direct.id, clientId: `f${index}`, ...said })
      await page.goto(`/c/${direct.id}?at=${sent.seq}`)
      await shows(message(page, `file ${index}`))
      await isUnharmed()
    }
  })

  test('in answers that grow, wherever they are cut', async () => {
    const text = hostileTexts.filter((one) => one.length < 400).join('\n\n')
    // by seven, so that tags, addresses and marks are cut everywhere in turn
    const chunks = [...text.matchAll(/[\s\S]{1,7}/gu)].map(([chunk]) => chunk)
    scene.models.script('m1', { chunks: [...chunks, '\n\n\n\nthat was all'], pauseMs: 4 })
    const conversationId = await openChat(ann, 'm1')
    await page.goto(`/c/${conversationId}`)
    await ann.do('message:send', { conversationId, clientId: 'q', content: 'Do your worst.' })
    const end = message(page, 'that was all')
    while ((await end.count()) === 0) await isUnharmed()
    await scrollThrough()
  })
})
