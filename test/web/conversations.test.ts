import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Locator } from 'playwright-core'
import { type Backend, startBackend } from '../support/backend.ts'
import { hides, shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import { join, type Person } from '../support/people.ts'
import { composer, directOf, message, wentWell, write } from './scene.ts'

describe('conversations and their list', { skip: withoutBrowser }, () => {
  let server: Backend
  let browser: TestBrowser
  let people: [Person, Person, Person]
  let ann: TestWindow
  let ben: TestWindow
  const list = ({ page }: TestWindow): Locator => page.getByRole('complementary')
  const entry = (window: TestWindow, title: string): Locator =>
    list(window).getByRole('link', { name: new RegExp(`^${title} `) })
  const titles = (window: TestWindow): Promise<string[]> =>
    list(window).locator('[data-entry] .conv-title').allInnerTexts()
  before(async () => {
    server = await startBackend()
    browser = await startBrowser()
    people = (await Promise.all(['ann', 'ben', 'cara'].map((name) => join(server.url, name)))) as typeof people
    const [one, other, third] = people
    await directOf(server.url, one, other)
    await directOf(server.url, one, third)
    ann = await browser.openAs(server.url, one.session)
    ben = await browser.openAs(server.url, other.session)
    await shows(entry(ann, 'ben'))
    await shows(entry(ben, 'ann'))
  })
  after(async () => {
    await browser?.close()
    for (const person of people ?? []) person.close()
    await server?.end()
  })

  test('by keys alone: from the list to a conversation, to write, to send, and back', async () => {
    const { page } = ann
    await list(ann).getByRole('searchbox').focus()
    await page.keyboard.press('ArrowDown')
    await page.waitForFunction(() => document.activeElement?.matches('[data-entry]'))
    await page.keyboard.press('End')
    const last = list(ann).locator('[data-entry]').last()
    await last.and(page.locator(':focus')).waitFor()
    const [first = ''] = await titles(ann)
    await page.keyboard.press('Home')
    await entry(ann, first).and(page.locator(':focus')).waitFor()
    await page.keyboard.press('Enter')
    await composer(ann.page).and(page.locator(':focus')).waitFor()
    await page.keyboard.type('no mouse was here')
    await page.keyboard.press('Enter')
    await shows(message(page, 'no mouse was here'))
    await page.keyboard.press('Escape')
    await entry(ann, first).and(page.locator(':focus')).waitFor()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await shows(page.getByText('Nothing has been said here yet.'))
    await composer(page).and(page.locator(':focus')).waitFor()
  })

  test('a message is answered by keys alone', async () => {
    const { page } = ann
    await entry(ann, 'ben').click()
    await write(page, 'one')
    await write(page, 'two')
    await shows(message(page, 'two').getByText(/Sent|Delivered|Read/))
    await page.keyboard.press('Shift+Tab')
    for (let turn = 0; turn < 10; turn++) {
      if (await page.evaluate(() => document.activeElement?.matches('[role=log]'))) break
      await page.keyboard.press('Shift+Tab')
    }
    await page.keyboard.press('ArrowUp')
    await message(page, /^two/).and(page.locator(':focus')).waitFor()
    await page.keyboard.press('ArrowUp')
    await message(page, /^one/).and(page.locator(':focus')).waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await composer(page).and(page.locator(':focus')).waitFor()
    await page.keyboard.type('three')
    await page.keyboard.press('Enter')
    await shows(message(page, 'three').getByRole('button', { name: /ann.*one/ }))
    await page.getByRole('log').focus()
    await page.keyboard.press('Escape')
    await composer(page).and(page.locator(':focus')).waitFor()
  })

  test('a group is begun, grows, has admins, and is left', async () => {
    const { page } = ann
    const [, other, third] = people
    await list(ann).getByRole('button', { name: 'New conversation' }).click()
    const begin = page.getByRole('dialog', { name: 'New conversation' })
    await begin.getByRole('radio', { name: 'Group' }).check()
    await begin.getByRole('textbox', { name: 'What is the group called?' }).fill('Harbour')
    await begin.getByRole('button', { name: `@${other.username}` }).click()
    await shows(begin.getByRole('button', { name: 'Take ben out' }))
    await begin.getByRole('button', { name: 'Begin' }).click()
    await hides(begin)
    await shows(page.getByRole('heading', { name: 'Harbour', level: 1 }))
    await shows(entry(ben, 'Harbour'))

    await page.getByRole('button', { name: 'About this conversation' }).click()
    const info = page.getByRole('dialog', { name: 'About this conversation' })
    await info.getByRole('button', { name: 'Add people' }).click()
    const adding = page.getByRole('dialog', { name: 'Add people' })
    await adding.getByRole('searchbox').fill(third.username)
    await adding.getByRole('button', { name: `@${third.username}` }).click()
    await shows(info.getByText('3 people'))
    await hides(adding.getByRole('button', { name: `@${third.username}` }))
    await page.keyboard.press('Escape')
    await hides(adding)
    const menuOf = async (name: string, what: string): Promise<void> => {
      await info.getByRole('button', { name: `More about ${name}` }).click()
      await info.getByRole('menuitem', { name: what, exact: true }).click()
    }
    await menuOf('ben', 'Make an admin')
    await shows(info.getByText(`@${other.username} · Admin`))
    await page.keyboard.press('Escape')
    await hides(info)

    await entry(ben, 'Harbour').click()
    await ben.page.getByRole('button', { name: 'About this conversation' }).click()
    const seen = ben.page.getByRole('dialog', { name: 'About this conversation' })
    await seen.getByRole('button', { name: 'More about cara' }).click()
    await seen.getByRole('menuitem', { name: 'Remove from the group' }).click()
    await ben.page.getByRole('dialog', { name: 'Remove cara?' }).getByRole('button', { name: 'Remove' }).click()
    await shows(seen.getByText('2 people'))
    await third.hears('conversation:removed')
    await seen.getByRole('button', { name: 'Leave' }).click()
    await ben.page.getByRole('dialog', { name: 'Leave “Harbour”?' }).getByRole('button', { name: 'Leave' }).click()
    await hides(entry(ben, 'Harbour'))
    await shows(ben.page.getByText('Choose a conversation, or begin a new one.'))
    await hides(ben.page.getByRole('dialog'))
    await shows(page.getByRole('main').getByText('1 person'))
  })

  test('from the list one is pinned, muted, archived, and all of it taken back', async () => {
    const act = async (title: string, what: string): Promise<void> => {
      await entry(ann, title).hover()
      await list(ann)
        .getByRole('button', { name: `More about ${title}` })
        .click()
      await list(ann).getByRole('menuitem', { name: what, exact: true }).click()
    }
    await act('cara', 'Pin')
    await shows(entry(ann, 'cara').getByText('Pinned'))
    // it has moved to the top
    await shows(list(ann).locator('[data-entry]').first().filter({ hasText: 'cara' }))
    await act('cara', 'Mute')
    await shows(entry(ann, 'cara').getByText('Muted'))
    await act('cara', 'Archive')
    await hides(entry(ann, 'cara'))
    await list(ann).getByRole('button', { name: '1 archived' }).click()
    await shows(entry(ann, 'cara'))
    await act('cara', 'Take out of the archive')
    await hides(list(ann).getByRole('button', { name: '1 archived' }))
    await act('cara', 'Unmute')
    await act('cara', 'Unpin')
    await hides(entry(ann, 'cara').getByText('Muted'))
    await hides(entry(ann, 'cara').getByText('Pinned'))
  })

  test('on a phone there is the list or the conversation, and a way back', async () => {
    const [one] = people
    const phone = await browser.openAs(server.url, one.session, '/', { viewport: { width: 390, height: 844 } })
    await shows(entry(phone, 'ben'))
    await hides(phone.page.getByRole('main'))
    await entry(phone, 'ben').click()
    await shows(message(phone.page, 'three'))
    await hides(list(phone))
    await write(phone.page, 'from the road')
    await shows(message(phone.page, 'from the road'))
    const { scrollWidth, clientWidth } = await phone.page.evaluate(() => document.documentElement)
    assert.equal(scrollWidth, clientWidth)
    await phone.page.getByRole('link', { name: 'Back' }).click()
    await shows(entry(phone, 'ben').getByText('from the road'))
    await hides(phone.page.getByRole('main'))
    wentWell(phone)
    await phone.context.close()
  })

  test('nothing went wrong unseen', () => wentWell(ann, ben))
})
