import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Backend, startBackend } from '../support/backend.ts'
import { shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import { choose, composer, message, wentWell, write } from './scene.ts'

describe('the first minute: a guest, an agent that streams, and a second person', { skip: withoutBrowser }, () => {
  let server: Backend
  let browser: TestBrowser
  let ann: TestWindow
  let ben: TestWindow
  before(async () => {
    server = await startBackend({ GUESTS: 'on' })
    browser = await startBrowser()
    ;[ann, ben] = await Promise.all([browser.open(server.url), browser.open(server.url)])
  })
  after(async () => {
    await browser?.close()
    await server?.end()
  })

  test('one press lets somebody in, and there is somebody to talk to', async () => {
    await ann.page.getByRole('button', { name: 'Look around as a guest' }).click()
    await ann.page.getByRole('button', { name: 'Hello! What can you do?' }).click()
    await shows(message(ann.page, 'I am offline: no language model is configured'))
    await shows(message(ann.page, 'tokens'))
  })

  let invitation = ''
  test('the own invitation is an address and a code', async () => {
    await ann.page.getByRole('button', { name: 'Invite somebody' }).click()
    const dialog = ann.page.getByRole('dialog', { name: 'Invite somebody' })
    invitation = await dialog.getByRole('textbox', { name: 'Your address' }).inputValue()
    assert.match(invitation, /^http:\/\/127\.0\.0\.1:\d+\/invite\/guest-\w+$/)
    await shows(dialog.getByRole('img', { name: 'The same address as a code to scan' }))
    await dialog.getByRole('button', { name: 'Close' }).click()
  })

  test('whoever follows it is there by two presses', async () => {
    await ben.page.goto(invitation)
    await ben.page.getByRole('button', { name: 'Look around as a guest' }).click()
    await ben.page.getByRole('button', { name: /^Write to Guest/ }).click()
    await write(ben.page, 'Is anybody there?')
    await shows(message(ben.page, 'Is anybody there?'))
  })

  test('the two chat: answers, edits, reactions and what was read show at once', async () => {
    await ann.page.getByRole('link', { name: /Is anybody there\?/ }).click()
    await shows(message(ann.page, 'Is anybody there?'))
    await shows(message(ben.page, 'Is anybody there?').getByText('Read', { exact: true }))

    await choose(ann.page, message(ann.page, 'Is anybody there?'), 'Reply')
    await write(ann.page, 'Yes, **both** of us.')
    await shows(message(ben.page, 'Yes, both of us.').getByRole('button', { name: /Is anybody there\?/ }))

    await choose(ann.page, message(ann.page, 'Yes, both of us.'), 'Edit')
    await composer(ann.page).fill('Yes, all of us.')
    await composer(ann.page).press('Enter')
    await shows(message(ben.page, 'Yes, all of us.').getByRole('button', { name: 'edited' }))

    const answered = message(ben.page, 'Yes, all of us.')
    await answered.hover()
    await answered.getByRole('button', { name: 'More' }).click()
    await ben.page.getByRole('menuitem', { name: 'React with 👍' }).click()
    await shows(message(ann.page, 'Yes, all of us.').getByRole('button', { name: /👍/ }))
  })

  test('typing shows while it goes on', async () => {
    await composer(ben.page).pressSequentially('wait')
    await shows(ann.page.getByText(/is typing/))
  })

  test('nothing went wrong unseen', () => wentWell(ann, ben))
})
