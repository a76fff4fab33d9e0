import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { ask } from '../support/agents.ts'
import { shows, type TestWindow } from '../support/browser.ts'
import type { Person } from '../support/people.ts'

/** The page as people know it: by what it shows and what its parts are called. */

export const history = (page: Page): Locator => page.getByRole('log', { name: 'Messages' })
export const composer = (page: Page): Locator => page.getByRole('combobox', { name: 'Message', exact: true })

/** The message in which a text stands, in the conversation that is open. */
export const message = (page: Page, text: string | RegExp): Locator =>
  history(page).getByRole('article').filter({ hasText: text })

/** Writes and sends. */
export async function write(page: Page, text: string): Promise<void> {
  await composer(page).fill(text)
  await composer(page).press('Enter')
}

/** Chooses one of the things that can be done with a message. */
export async function choose(page: Page, of: Locator, what: string): Promise<void> {
  await of.hover()
  await of.getByRole('button', { name: 'More' }).click()
  await page.getByRole('menuitem', { name: what, exact: true }).click()
}

/** Opens a conversation from the list, by its title. */
export async function openConversation(page: Page, title: string): Promise<void> {
  await page.getByRole('complementary').getByRole('link', { name: title }).click()
  await shows(composer(page))
}

/** The texts of all messages that the page holds at the end of the conversation, in their order. */
export const textsOf = (page: Page): Promise<string[]> => history(page).locator('.md').allInnerTexts()

/** Nothing went wrong in these windows that a person would not see. */
export function wentWell(...windows: readonly TestWindow[]): void {
  for (const { problems } of windows) assert.deepEqual(problems, [])
}

/** A direct conversation of two people, made as any client makes it. */
export async function directOf(url: string, one: Person, other: Person): Promise<string> {
  const { body } = await ask<{ id: string }>(url, one.session.accessToken, 'POST', '/conversations', {
    type: 'direct',
    participantIds: [other.id],
  })
  return body.id
}
