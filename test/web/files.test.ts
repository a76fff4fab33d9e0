import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Backend, startBackend } from '../support/backend.ts'
import { shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import { join, type Person } from '../support/people.ts'
import { files } from '../support/uploads.ts'
import { composer, directOf, history, message, wentWell } from './scene.ts'

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

  type Held = Awaited<ReturnType<typeof files.image>>

  /** What is dragged or in the clipboard, in Ann's browser. */
  const carried = ({ bytes, name, type }: Held) =>
    ann.page.evaluateHandle(
      ({ base64, name, type }) => {
        const transfer = new DataTransfer()
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
        transfer.items.add(new File([bytes], name, { type }))
        return transfer
      },
      { base64: bytes.toString('base64'), name, type },
    )

  test('a picture that is dropped on the conversation is shown before it is sent, and to the other after', async () => {
    await composer(ann.page).waitFor()
    const image = await files.image()
    const { name } = image
    const dropped = await carried(image)
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

  test('a recording that is pasted can be heard by the other', async () => {
    const audio = await files.audio()
    const clipboardData = await carried(audio)
    await composer(ann.page).evaluate(
      (field, clipboardData) =>
        field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true })),
      clipboardData,
    )
    await shows(ann.page.getByRole('list', { name: 'Attachments' }).getByText(audio.name))
    await ann.page.getByRole('button', { name: 'Send', exact: true }).click()
    await shows(history(ben.page).locator(`audio[aria-label="${audio.name}"][src]`))
    await ben.page.waitForFunction(() => (document.querySelector('audio')?.duration ?? 0) > 0)
  })

  test('an upload that is taken back is not sent, and one that is refused says why', async () => {
    const list = ann.page.getByRole('list', { name: 'Attachments' })
    const choose = ann.page.locator('.composer input[type=file]')
    // nothing of it arrives until it is taken back
    const held = Promise.withResolvers<void>()
    await ann.page.route('**/v1/uploads', async (route) => {
      await held.promise
      await route.abort().catch(() => {})
    })
    await choose.setInputFiles({ name: 'regret.txt', mimeType: 'text/plain', buffer: Buffer.from('better not') })
    await shows(list.getByRole('progressbar', { name: 'Uploading…' }))
    await list.getByRole('button', { name: 'Remove regret.txt' }).click()
    await list.waitFor({ state: 'detached' })
    held.resolve()
    await ann.page.unroute('**/v1/uploads')

    const script = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>')
    await choose.setInputFiles({ name: 'drawing.svg', mimeType: 'image/svg+xml', buffer: script })
    await shows(list.getByText('Files of this kind cannot be taken.'))
    assert.ok(await ann.page.getByRole('button', { name: 'Send', exact: true }).isDisabled())
    await list.getByRole('button', { name: 'Remove drawing.svg' }).click()
    await list.waitFor({ state: 'detached' })
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
