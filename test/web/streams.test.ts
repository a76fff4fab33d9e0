import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type AgentsScene, openChat, startAgentsScene } from '../agents/scene.ts'
import { shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import type { Person } from '../support/people.ts'
import { composer, history, message, wentWell, write } from './scene.ts'

describe('answers that grow', { skip: withoutBrowser }, () => {
  let scene: AgentsScene
  let browser: TestBrowser
  let ann: Person
  let page: TestWindow
  before(async () => {
    scene = await startAgentsScene()
    browser = await startBrowser()
    ann = await scene.person('ann')
    page = await browser.openAs(scene.url, ann.session)
  })
  after(async () => {
    await browser?.close()
    await scene?.end()
  })

  test('a reload in the middle of one loses nothing of it', async () => {
    const rest = Promise.withResolvers<void>()
    scene.models.script('m1', {
      chunks: ['It was **a dark', ' and stormy** night; ', 'the rain fell in `torrents`.'],
      holdAfter: 1,
      holdUntil: rest.promise,
    })
    await page.page.goto(`/c/${await openChat(ann, 'm1')}`)
    await write(page.page, 'Begin a novel.')
    await shows(message(page.page, 'It was'))
    await page.page.reload()
    await shows(message(page.page, 'It was'))
    await shows(message(page.page, 'It was').getByRole('button', { name: 'Stop' }))
    rest.resolve()
    const whole = message(page.page, 'It was a dark and stormy night; the rain fell in torrents.')
    await shows(whole)
    assert.equal(await whole.locator('strong').textContent(), 'a dark and stormy')
    await shows(whole.getByRole('button', { name: 'Answer again' }))
    assert.equal(await history(page.page).getByRole('article').count(), 2)
  })

  test('one that is stopped keeps what was written', async () => {
    scene.models.script('m1', { chunks: ['One, ', 'two'], holdAfter: 1, holdUntil: new Promise(() => {}) })
    await page.page.goto(`/c/${await openChat(ann, 'm1')}`)
    await write(page.page, 'Count.')
    await message(page.page, 'One,').getByRole('button', { name: 'Stop' }).click()
    await shows(message(page.page, 'One,').getByText('Stopped'))
    assert.equal(await history(page.page).getByText('two').count(), 0)
  })

  test('an answer can be had again, from another model too, and the earlier ones stay', async () => {
    scene.models.script('m1', { chunks: ['The first model speaks.'] })
    scene.models.script('m2', { chunks: ['The second model speaks.'] })
    await page.page.goto(`/c/${await openChat(ann, 'm1')}`)
    await write(page.page, 'Speak.')
    const first = message(page.page, 'The first model speaks.')
    await first.getByRole('button', { name: 'Answer again' }).click()
    await page.page.getByRole('menuitem', { name: 'With m2' }).click()
    await shows(message(page.page, 'The second model speaks.').getByText(/tokens/))
    assert.equal(await history(page.page).getByRole('article').count(), 3)
    await shows(first)
  })

  test('several models are compared side by side, voted for, and gone on with', async () => {
    scene.models.script('m1', { chunks: ['Fourteen.'] })
    scene.models.script('m2', { chunks: ['Fourteen lines, in two parts.'] })
    scene.models.script('m3', { chunks: ['Four'], fault: 'reset' })
    await page.page.goto('/')
    await page.page.getByRole('button', { name: 'New conversation' }).click()
    const dialog = page.page.getByRole('dialog')
    await dialog.getByRole('radio', { name: 'AI chat' }).click()
    for (const model of ['m1', 'm2', 'm3']) await dialog.getByRole('checkbox', { name: model }).check()
    // whichever the dialog begins with
    for (const other of await dialog.getByRole('checkbox', { name: /^(?!m\d)/, checked: true }).all())
      await other.uncheck()
    await dialog.getByRole('button', { name: 'Begin the comparison' }).click()
    await composer(page.page).waitFor()
    await write(page.page, 'How many lines has a sonnet?')

    const row = page.page.getByRole('region', { name: '3 answers side by side' })
    await shows(row.getByText('Fourteen lines, in two parts.'))
    await shows(row.getByText('Fourteen.', { exact: true }))
    const [first, second] = ['m1', 'm2'].map((model) => row.getByRole('region', { name: model }))
    const boxes = await Promise.all([first?.boundingBox(), second?.boundingBox()])
    assert.ok(boxes[0] && boxes[1])
    assert.ok(Math.abs(boxes[0].y - boxes[1].y) < 2 && boxes[0].x !== boxes[1].x, 'side by side')

    const vote = second?.getByRole('button', { name: 'This is the best answer' })
    await vote?.click()
    await shows(row.locator('[aria-pressed=true]'))
    await second?.getByRole('button', { name: 'Go on with this model alone' }).click()
    await page.page.waitForFunction(() => document.querySelectorAll('.comparison').length === 0)
    await shows(message(page.page, 'Fourteen lines, in two parts.'))
    assert.equal(await history(page.page).getByRole('article').count(), 2, 'the question and its answer')
  })

  test('nothing went wrong unseen', () => wentWell(page))
})
