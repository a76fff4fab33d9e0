import { after, before, describe, test } from 'node:test'
import { type Backend, startBackend } from '../support/backend.ts'
import { shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import { join, type Person } from '../support/people.ts'
import { files } from '../support/uploads.ts'
import { composer, directOf, message, wentWell } from './scene.ts'

describe('files and stories', { skip: withoutBrowser }, () => {
  let server: Backend
  let browser: TestBrowser
  let people: Person[]
  let ann: TestWindow
  let ben: TestWindow
  before(async () => {
    server = await startBackend()
    browser = await startBrowser()
    people = await Promise.all(['ann', 'ben'].map((name) => join(server.url, name)))
    const [one, other] = people as [Person, Person]
    const path = `/c/${await directOf(server.url, one, other)}`
    ann = await browser.openAs(server.url, one.session, path)
    ben = await browser.openAs(server.url, other.session, path)
  })
  after(async () => {
    await browser?.close()
    for (const person of people ?? []) person.close()
    await server?.end()
  })

  test('a picture that is dropped on the conversation is shown before it is sent, and to the other after', async () => {
    await composer(ann.page).waitFor()
    const { bytes, name, type } = await files.image()
    const dropped = await ann.page.evaluateHandle(
      ({ base64, name, type }) => {
        const transfer = new DataTransfer()
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
        transfer.items.add(new File([bytes], name, { type }))
        return transfer
      },
      { base64: bytes.toString('base64'), name, type },
    )
    const target = ann.page.getByRole('main')
    for (const event of ['dragenter', 'dragover', 'drop'])
      await composer(ann.page).dispatchEvent(event, { dataTransfer: dropped, bubbles: true })
    await shows(target.getByText(name))
    await composer(ann.page).fill('Look at this')
    // it can be pressed once the upload is through
    await ann.page.getByRole('button', { name: 'Send', exact: true }).click()
    await shows(message(ben.page, 'Look at this').getByRole('button', { name: `Open picture ${name}` }))
    await ben.page.waitForFunction(() =>
      [...document.querySelectorAll<HTMLImageElement>('[data-seq] img')].some((image) => image.naturalWidth === 8),
    )
  })

  test('it opens large, and closes by Escape', async () => {
    await message(ben.page, 'Look at this')
      .getByRole('button', { name: /picture/i })
      .first()
      .click()
    const viewer = ben.page.getByRole('dialog')
    await shows(viewer.getByRole('img'))
    await ben.page.keyboard.press('Escape')
    await viewer.waitFor({ state: 'hidden' })
  })

  test('a story that one tells the other sees, and is told to have seen it', async () => {
    await ann.page.getByRole('button', { name: 'New story' }).click()
    const dialog = ann.page.getByRole('dialog')
    await dialog.getByRole('textbox').fill('Rain over the harbour')
    await dialog.getByRole('button', { name: 'Share' }).click()
    await ben.page.getByRole('button', { name: /ann/ }).first().click()
    await shows(ben.page.getByRole('dialog').getByText('Rain over the harbour'))
    await ben.page.keyboard.press('Escape')
    await ann.page.getByRole('button', { name: /^Your story \d/ }).click()
    await ann.page.getByRole('button', { name: 'Seen by 1' }).click()
    await shows(ann.page.getByRole('dialog').getByText('ben'))
    await ann.page.keyboard.press('Escape')
  })

  test('nothing went wrong unseen', () => wentWell(ann, ben))
})
