import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { ask, connectAgent } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { hides, shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import { codeIn, createMailServer, linkIn, type MailServer, mailBy } from '../support/mail.ts'
import { startProvider, type TestProvider } from '../support/openid.ts'
import { join, type Person } from '../support/people.ts'
import { freePort } from '../support/server.ts'
import { wentWell } from './scene.ts'

const email = 'ann@example.org'
/** Whom the provider lets in where the page names nobody. */
const unnamed = 'undefined'

const region = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true })
const button = (within: Page | Locator, name: string): Locator => within.getByRole('button', { name, exact: true })
const field = (within: Page | Locator, name: string): Locator => within.getByRole('textbox', { name, exact: true })
/** The list of conversations, which is there once one is in. */
const inside = (page: Page): Locator => page.getByRole('complementary', { name: 'Conversations' })

async function signIn(page: Page, name: string, password: string): Promise<void> {
  await field(page, 'Email or username').fill(name)
  await field(page, 'Password').fill(password)
  await button(page.getByRole('form', { name: 'Sign in' }), 'Sign in').click()
}

describe('an account from its beginning to its end', { skip: withoutBrowser }, () => {
  let mail: MailServer
  let provider: TestProvider
  let server: Backend
  let browser: TestBrowser
  let ben: Person
  let ann: TestWindow
  let page: Page
  before(async () => {
    mail = await createMailServer()
    await mail.start()
    const port = await freePort()
    const publicUrl = `http://127.0.0.1:${port}`
    provider = await startProvider({ name: 'alpha', publicUrl })
    const env = { PORT: String(port), PUBLIC_URL: publicUrl, SMTP_URL: mail.url, GUESTS: 'on' }
    server = await startBackend({ ...env, ...provider.env, OPENID_PROVIDERS: 'alpha' })
    browser = await startBrowser()
    ben = await join(server.url, 'ben')
    ann = await browser.open(server.url)
    page = ann.page
  })
  after(async () => {
    await browser?.close()
    ben?.close()
    await server?.end()
    await provider?.close()
    await mail?.stop()
  })

  let code = ''
  test('what cannot be taken is said beside its field, and what is right begins an account', async () => {
    await button(page, 'Create an account').click()
    const form = page.getByRole('form', { name: 'Create an account' })
    await field(form, 'Email').fill(email)
    await field(form, 'Username').fill(ben.username)
    await field(form, 'Password').fill('password1')
    const send = button(form, 'Create an account')
    await send.click()
    await shows(form.getByText('Many would guess this one. Please choose another.'))
    assert.equal(await field(form, 'Password').getAttribute('aria-invalid'), 'true')
    assert.ok(await field(form, 'Password').evaluate((element) => element === document.activeElement))
    await field(form, 'Password').fill('violet tram over lisbon')
    await send.click()
    await shows(form.getByText('Somebody else has this username.'))
    await field(form, 'Username').fill('a b')
    await send.click()
    await shows(form.getByText('3 to 32 letters, digits, “_”, “.” or “-”, please.'))
    await field(form, 'Username').fill('ann')
    code = codeIn(await mailBy(mail.mails, email, () => send.click()))
    await shows(inside(page))
  })

  test('the address is confirmed by the code of the mail, and by no other', async () => {
    await page.goto('/settings/profile')
    const card = region(page, 'Email')
    await shows(card.getByText('Not confirmed yet'))
    for (const wrong of ['12', code === '000000' ? '000001' : '000000']) {
      await field(card, 'Code from the email').fill(wrong)
      await button(card, 'Confirm').click()
      await shows(card.getByRole('alert').getByText('The code is wrong.'))
    }
    await field(card, 'Code from the email').fill(code)
    await button(card, 'Confirm').click()
    await shows(card.getByText('Confirmed', { exact: true }))
  })

  test('a wrong password is said, and a forgotten one is chosen anew by the mailed link', async () => {
    await button(page, 'Sign out').click()
    await signIn(page, 'ann', 'not the password')
    await shows(page.getByRole('alert').getByText('That did not match.'))
    await button(page, 'Forgot your password?').click()
    await field(page, 'Email').fill(email)
    const { link } = linkIn(await mailBy(mail.mails, email, () => button(page, 'Send me a link').click()))
    await shows(page.getByText('a link is on its way to it'))
    await page.goto(link.href)
    await field(page, 'New password').fill('short')
    await button(page, 'Save the password').click()
    await shows(page.getByText('At least 8 characters, please.'))
    await field(page, 'New password').fill('another tram over porto')
    await button(page, 'Save the password').click()
    await shows(page.getByText('Your password has been changed'))
    await button(page, 'Sign in').click()
    await signIn(page, email, 'another tram over porto')
    await shows(inside(page))
    await page.goto(link.href)
    await field(page, 'New password').fill('a third tram over faro')
    await button(page, 'Save the password').click()
    await shows(page.getByText('This link has expired or was used already.'))
  })

  test('another login is listed, and told when it is ended from here', async () => {
    const other = await browser.open(server.url)
    await signIn(other.page, 'ann', 'another tram over porto')
    await shows(inside(other.page))
    await page.goto('/settings/sessions')
    const rows = region(page, 'Where you are signed in').getByRole('listitem')
    await shows(rows.nth(1))
    assert.equal(await rows.count(), 2)
    await shows(rows.nth(0).getByText('This device'))
    await shows(rows.nth(1).getByText(/Chrome/))
    await button(rows.nth(1), 'Sign out').click()
    await button(page.getByRole('dialog', { name: 'Sign out' }), 'Sign out').click()
    await hides(rows.nth(1))
    await shows(other.page.getByText('Your login has ended'))
    await shows(field(other.page, 'Password'))
    wentWell(other)
    await other.context.close()
  })

  test('language and colours change at once, and stay', async () => {
    await page.goto('/settings/preferences')
    await page.getByRole('combobox', { name: 'Theme' }).selectOption({ label: 'Dark' })
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const dark = await background()
    await page.getByRole('combobox', { name: 'Language' }).selectOption({ label: '한국어' })
    await shows(page.getByRole('heading', { name: '환경설정' }))
    await page.reload()
    await shows(page.getByRole('heading', { name: '환경설정' }))
    assert.equal(await page.locator('html').getAttribute('lang'), 'ko')
    assert.equal(await background(), dark)
    await page.getByRole('combobox', { name: '언어' }).selectOption({ label: 'English' })
    await page.getByRole('combobox', { name: 'Theme' }).selectOption({ label: 'Light' })
    assert.notEqual(await background(), dark)
  })

  test('who is blocked is listed until that is taken back', async () => {
    const { accessToken } = ben.session
    const { body } = await ask<{ items: { id: string }[] }>(server.url, accessToken, 'GET', '/users?query=ann')
    const direct = await ben.do('conversation:create', { type: 'direct', participantIds: [body.items[0]?.id ?? ''] })
    await page.goto(`/c/${direct.id}`)
    await button(page, 'About this conversation').click()
    await button(page, 'Block').click()
    await button(page.getByRole('dialog', { name: 'Block ben?' }), 'Block').click()
    await shows(page.getByText('ben is blocked.'))
    await page.goto('/settings/blocked')
    await button(page, 'Unblock ben').click()
    await shows(page.getByText('You have blocked nobody.'))
    await page.goto(`/c/${direct.id}`)
    await button(page, 'About this conversation').click()
    await shows(button(page, 'Block'))
  })

  test('the key of an agent is shown once', async () => {
    await page.goto('/settings/agents')
    await button(page, 'New agent').click()
    const made = page.getByRole('dialog', { name: 'New agent' })
    await made.getByRole('combobox', { name: 'Kind' }).selectOption({ label: 'External program' })
    await field(made, 'Username').fill('ann-weather')
    await field(made, 'Name').fill('Weather')
    await button(made, 'Save').click()
    const keys = page.getByRole('dialog', { name: 'Keys of Weather' })
    await field(keys, 'Name of the key').fill('production')
    await button(keys, 'New key').click()
    const key = await keys.getByRole('status').locator('code').textContent()
    const agent = await connectAgent(server.url, key ?? '')
    await button(keys, 'Close').click()
    await button(page, 'Keys of Weather').click()
    await shows(keys.getByText('production'))
    assert.equal(await keys.getByText(key ?? '').count(), 0)
    await button(keys, 'Revoke').click()
    await button(page.getByRole('dialog', { name: 'Revoke' }), 'Revoke').click()
    await shows(keys.getByText('Revoked'))
    await agent.closed()
  })

  test('one’s data is put together and kept as a file', async () => {
    await page.goto('/settings/security')
    await button(page, 'Put it together').click()
    const saved = page.waitForEvent('download')
    await button(page, 'Download').click()
    const download = await saved
    assert.equal(download.suggestedFilename(), 'kintsugi-export.zip')
    const archive = await readFile(await download.path())
    assert.equal(archive.subarray(0, 2).toString(), 'PK')
  })

  test('a guest who gives the account an address and a password comes back to it', async () => {
    const guest = await browser.open(server.url)
    await button(guest.page, 'Look around as a guest').click()
    await shows(inside(guest.page))
    await guest.page.goto('/settings/profile')
    const username = await field(guest.page, 'Username').inputValue()
    const card = region(guest.page, 'Email')
    await button(card, 'Add an email').click()
    const address = 'guest@example.org'
    await field(card, 'New email').fill(address)
    const mailed = await mailBy(mail.mails, address, () => button(card, 'Send the code').click())
    await field(card, 'Code from the email').fill(codeIn(mailed))
    await button(card, 'Confirm').click()
    await shows(card.getByText(address))
    await guest.page.goto('/settings/security')
    await field(region(guest.page, 'Password'), 'New password').fill('a guest stays for good')
    await button(guest.page, 'Set password').click()
    await shows(guest.page.getByText('Your new password counts from now on.'))
    await button(guest.page, 'Sign out').click()
    await signIn(guest.page, address, 'a guest stays for good')
    await shows(inside(guest.page))
    await guest.page.goto('/settings/profile')
    assert.equal(await field(guest.page, 'Username').inputValue(), username)
    wentWell(guest)
    await guest.context.close()
  })

  test('a login by another service leads back into the page', async () => {
    provider.people.set(unnamed, { email: 'cho@example.org', email_verified: true, name: 'Cho' })
    const cho = await browser.open(server.url)
    await cho.page.getByRole('link', { name: 'Continue with alpha of the test' }).click()
    await shows(inside(cho.page))
    assert.equal(new URL(cho.page.url()).search, '')
    await cho.page.goto('/settings/security')
    const linked = region(cho.page, 'Linked accounts').getByRole('listitem')
    await shows(linked.getByText('Cho'))
    await button(linked, 'Unlink').click()
    await shows(cho.page.getByText('This is your last way to sign in.'))
    wentWell(cho)
    await cho.context.close()
  })

  test('an account is deleted by its name and its password, and is gone', async () => {
    await page.goto('/settings/security')
    await button(page, 'Delete account').click()
    const dialog = page.getByRole('dialog', { name: 'Delete account' })
    const end = button(dialog, 'Delete for good')
    assert.ok(await end.isDisabled())
    await field(dialog, 'Type “ann” to confirm').fill('ann')
    await field(dialog, 'Current password').fill('not the password')
    await end.click()
    await shows(dialog.getByText('The password did not match.'))
    await field(dialog, 'Current password').fill('another tram over porto')
    await end.click()
    await signIn(page, email, 'another tram over porto')
    await shows(page.getByRole('alert').getByText('That did not match.'))
  })

  test('nothing went wrong unseen', () => wentWell(ann))
})
