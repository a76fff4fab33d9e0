import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { hides, shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import { join, type Person } from '../support/people.ts'
import { choose, composer, directOf, history, message, wentWell, write } from './scene.ts'

describe('what two people do with messages', { skip: withoutBrowser }, () => {
  let server: Backend
  let browser: TestBrowser
  let people: Person[]
  let ann: TestWindow
  let ben: TestWindow
  let group = ''
  const list = ({ page }: TestWindow) => page.getByRole('complementary')
  const open = async (window: TestWindow, title: string): Promise<void> => {
    await list(window)
      .getByRole('link', { name: new RegExp(`^${title} `) })
      .click()
    await shows(window.page.getByRole('heading', { name: title, level: 1 }))
    await shows(composer(window.page))
  }
  /** Waits until this is what Ann has begun to write. */
  const begins = (text: string) =>
    ann.page.waitForFunction((wanted) => document.querySelector('textarea')?.value === wanted, text)
  before(async () => {
    server = await startBackend()
    browser = await startBrowser()
    people = await Promise.all(['ann', 'ben', 'cara'].map((name) => join(server.url, name)))
    const [one, other, third] = people as [Person, Person, Person]
    const direct = await directOf(server.url, one, other)
    await directOf(server.url, one, third)
    group = (
      await one.do('conversation:create', { type: 'group', title: 'Harbour', participantIds: [other.id, third.id] })
    ).id
    ann = await browser.openAs(server.url, one.session, `/c/${group}`)
    ben = await browser.openAs(server.url, other.session, `/c/${direct}`)
    await shows(composer(ann.page))
    await shows(composer(ben.page))
  })
  after(async () => {
    await browser?.close()
    for (const person of people ?? []) person.close()
    await server?.end()
  })

  test('a name is completed by keys alone, and whoever is meant sees that', async () => {
    const [, { username }] = people as [Person, Person]
    const text = composer(ann.page)
    await text.pressSequentially('Look @')
    const options = ann.page.getByRole('listbox', { name: 'People to mention' }).getByRole('option')
    await shows(options)
    assert.equal(await options.count(), 2)
    await text.press('ArrowDown')
    await shows(options.and(ann.page.locator('[aria-selected=true]')).filter({ hasText: 'cara' }))
    await text.press('ArrowUp')
    await text.press('Tab')
    assert.equal(await text.inputValue(), `Look @${username} `)
    await text.pressSequentially('there')
    await text.press('Enter')
    const entry = list(ben).getByRole('link', { name: 'Harbour' })
    await shows(entry.getByText('You are mentioned'))
    await open(ben, 'Harbour')
    await shows(message(ben.page, `Look @${username} there`).locator('mark[data-mention=self]'))
    await hides(entry.getByText('You are mentioned'))
    await hides(entry.getByText(/unread message/))
  })

  test('a message is forwarded into another conversation, and says from whom it is', async () => {
    await write(ben.page, 'The tide turns at *six*.')
    await choose(ann.page, message(ann.page, 'The tide turns at six.'), 'Forward')
    const dialog = ann.page.getByRole('dialog', { name: 'Forward to' })
    await dialog.getByRole('searchbox').fill('ca')
    await ann.page.keyboard.press('ArrowDown')
    await ann.page.keyboard.press('Enter')
    await hides(dialog)
    await shows(ann.page.getByRole('heading', { name: 'cara', level: 1 }))
    await shows(message(ann.page, 'The tide turns at six.').getByText('Forwarded from ben'))
    await open(ann, 'Harbour')
  })

  test('one that is deleted leaves its place with both, and no word of it', async () => {
    await write(ann.page, 'a slip of the tongue')
    await shows(message(ben.page, 'a slip of the tongue'))
    await choose(ann.page, message(ann.page, 'a slip of the tongue'), 'Delete')
    await ann.page.getByRole('dialog', { name: 'Delete message' }).getByRole('button', { name: 'Delete' }).click()
    for (const { page } of [ann, ben]) {
      await shows(message(page, 'This message was deleted'))
      await hides(page.getByText('a slip of the tongue'))
    }
  })

  test('Arrow-Up changes the last one, and its earlier texts are kept', async () => {
    await write(ann.page, 'first words')
    await shows(message(ben.page, 'first words'))
    await composer(ann.page).press('ArrowUp')
    await begins('first words')
    await composer(ann.page).press('Escape')
    await begins('')
    await composer(ann.page).press('ArrowUp')
    await ann.page.waitForFunction(() => document.querySelector('textarea')?.selectionStart === 11)
    await composer(ann.page).pressSequentially(', better')
    await composer(ann.page).press('Enter')
    await message(ben.page, 'first words, better').getByRole('button', { name: 'edited' }).click()
    const dialog = ben.page.getByRole('dialog', { name: 'Earlier texts' })
    await shows(dialog.getByText('first words', { exact: true }))
    await ben.page.keyboard.press('Escape')
    await hides(dialog)
    await begins('')
  })

  test('what was begun is there after another conversation, after a change of a message, and after a reload', async () => {
    await composer(ann.page).fill('half a thou')
    await open(ann, 'cara')
    await shows(list(ann).getByRole('link', { name: 'Harbour' }).getByText('half a thou'))
    await begins('')
    await open(ann, 'Harbour')
    await begins('half a thou')

    await choose(ann.page, message(ann.page, 'first words, better'), 'Edit')
    await begins('first words, better')
    await choose(ann.page, message(ann.page, 'The tide turns at six.'), 'Reply')
    await shows(ann.page.getByRole('button', { name: 'Cancel reply' }))
    await begins('half a thou')

    await ann.page.reload()
    await shows(ann.page.getByRole('button', { name: 'Cancel reply' }))
    await begins('half a thou')
    await write(ann.page, 'half a thought')
    await shows(message(ben.page, 'half a thought').getByRole('button', { name: /ben.*The tide turns at six\./ }))
    await begins('')
  })

  test('one that is refused says why, can be tried again, and is discarded', async () => {
    const [one, other] = people as [Person, Person]
    const block = `/me/blocks/${one.id}`
    assert.equal((await ask(server.url, other.session.accessToken, 'POST', block)).status, 204)
    await open(ann, 'ben')
    for (const text of ['are you there?', 'hello?']) await write(ann.page, text)
    const alerts = history(ann.page).getByRole('alert')
    await shows(message(ann.page, 'hello?').getByText('Not sent: '))
    assert.equal(await alerts.count(), 2)
    await message(ann.page, 'are you there?').getByRole('button', { name: 'Discard' }).click()
    await hides(message(ann.page, 'are you there?'))

    await ann.page.reload()
    await shows(message(ann.page, 'hello?').getByText('Not sent: '))
    assert.equal((await ask(server.url, other.session.accessToken, 'DELETE', block)).status, 204)
    await message(ann.page, 'hello?').getByRole('button', { name: 'Try again' }).click()
    await open(ben, 'ann')
    await shows(message(ben.page, 'hello?'))
    await hides(alerts)
  })

  test('who types is told in the list and above the messages, until it is sent', async () => {
    await composer(ben.page).pressSequentially('so')
    await shows(ann.page.getByRole('main').getByText('ben is typing…'))
    await shows(list(ann).getByRole('link', { name: 'ben' }).getByText('typing…'))
    await composer(ben.page).press('Enter')
    await shows(message(ann.page, /^so/))
    await hides(ann.page.getByText('typing…'))
  })

  test('nothing went wrong unseen', () => wentWell(ann, ben))
})
