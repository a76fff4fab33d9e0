import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { type AgentsScene, openChat, startAgentsScene } from '../agents/scene.ts'
import { hides, shows, startBrowser, type TestBrowser, type TestWindow, withoutBrowser } from '../support/browser.ts'
import type { Person } from '../support/people.ts'
import { freePort } from '../support/server.ts'
import { startStripe, type TestStripe } from '../support/stripe.ts'
import { message, openConversation, wentWell, write } from './scene.ts'

const region = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true })
const button = (within: Page | Locator, name: string): Locator => within.getByRole('button', { name, exact: true })
/** The figure of that name, as it is written. */
const figure = (within: Locator, name: string, value: string): Locator =>
  within.locator('dl > div').filter({ hasText: name }).filter({ hasText: value })

describe('plan, credits and quota', { skip: withoutBrowser }, () => {
  let stripe: TestStripe
  let scene: AgentsScene
  let browser: TestBrowser
  let ann: Person
  let ben: Person
  let buyer: TestWindow
  let writer: TestWindow
  let page: Page
  before(async () => {
    stripe = await startStripe()
    const port = String(await freePort())
    const keys = { STRIPE_SECRET_KEY: stripe.secretKey, STRIPE_WEBHOOK_SECRET: stripe.webhookSecret }
    const env = { PORT: port, PUBLIC_URL: `http://127.0.0.1:${port}`, STRIPE_API_URL: stripe.url, ...keys }
    scene = await startAgentsScene(env)
    browser = await startBrowser()
    ;[ann, ben] = await Promise.all([scene.person('ann'), scene.person('ben')])
    buyer = await browser.openAs(scene.url, ann.session, '/settings/plan')
    page = buyer.page
    // Stripe's own pages: what is done there, the stand-in is told
    await buyer.context.route('https://checkout.stripe.test/**', (route) => route.fulfill({ body: 'Pay here' }))
  })
  after(async () => {
    await browser?.close()
    await scene?.end()
    await stripe?.close()
  })

  let delivered = 0
  /** Stripe tells the server what has happened there. */
  async function tell(): Promise<void> {
    for (; delivered < stripe.events.length; delivered++) {
      const { body, signature } = stripe.signed(stripe.events[delivered] ?? {})
      const headers = { 'content-type': 'application/json', 'stripe-signature': signature }
      const { status } = await fetch(`${scene.url}/v1/webhooks/stripe`, { method: 'POST', headers, body })
      assert.equal(status, 200)
    }
  }

  /** Presses a button that leads to Stripe's page; gives that page. */
  async function pay(pressed: Locator) {
    await pressed.click()
    await page.waitForURL('https://checkout.stripe.test/**')
    const session = stripe.sessions.get(new URL(page.url()).pathname.slice(1))
    assert.ok(session)
    return session
  }

  const plan = (name: string): Locator =>
    region(page, 'Plans')
      .getByRole('listitem')
      .filter({ has: page.getByRole('heading', { name, exact: true }) })

  test('a page of Stripe that is left without paying changes nothing, and that is said', async () => {
    await shows(plan('Premium Pro').getByText('$29.99 a month'))
    await page.getByRole('combobox', { name: 'Paid' }).selectOption({ label: 'Yearly' })
    await shows(plan('Premium Pro').getByText('$299.90 a year'))
    const { leads } = await pay(button(plan('Premium Starter'), 'Subscribe'))
    await page.goto(leads.cancel)
    await shows(page.getByText('Nothing was charged'))
    await shows(region(page, 'Your plan').getByText('You have no subscription.'))
  })

  test('a plan that is paid for is there without loading the page anew', async () => {
    const { id, leads } = await pay(button(plan('Premium Pro'), 'Subscribe'))
    await page.goto(leads.success)
    await shows(page.getByText('Thank you'))
    await shows(region(page, 'Your plan').getByText('Basic'))
    stripe.complete(id)
    await tell()
    const own = region(page, 'Your plan')
    await shows(own.getByText('Premium Pro'))
    await shows(own.getByText('Renews:'))
    await shows(region(page, 'What has happened').getByText('Subscribed'))
    await shows(button(plan('Premium Ultra'), 'Upgrade'))
    await shows(button(plan('Premium Starter'), 'Change'))
  })

  test('a subscription is ended at the end of its period, and that is taken back', async () => {
    await button(page, 'Cancel subscription').click()
    await button(page.getByRole('dialog'), 'Cancel subscription').click()
    await shows(region(page, 'Your plan').getByText('Ends:'))
    await button(page, 'Keep subscription').click()
    await shows(region(page, 'Your plan').getByText('Renews:'))
  })

  test('a pack of credits that is paid for is there without loading the page anew', async () => {
    await page.goto('/settings/credits')
    await shows(region(page, 'Balance').getByText('6,000 credits', { exact: true }))
    const { id, leads } = await pay(button(region(page, 'Buy credits'), '$7.99 by card'))
    await page.goto(leads.success)
    await shows(page.getByRole('status').getByText('Waiting for the payment'))
    stripe.complete(id)
    await tell()
    await shows(page.getByRole('status').getByText('Paid'))
    await page.getByRole('link', { name: 'All payments' }).click()
    await shows(region(page, 'Payments').getByText('$7.99'))
    await page.getByRole('link', { name: 'Credits', exact: true }).click()
    await shows(region(page, 'Balance').getByText('11,000 credits', { exact: true }))
    await button(page, 'How this comes about').click()
    await shows(region(page, 'Balance').getByRole('row', { name: 'Bought 1 +5,000' }))
    await shows(region(page, 'History').getByText('Balance 11,000'))
  })

  test('what an answer took is shown in figures and by day as it ends', async () => {
    await page.goto('/settings/usage')
    const days = region(page, 'The last 30 days')
    await shows(figure(days, 'Runs', '0'))
    scene.models.script('m1', { usage: { prompt_tokens: 1200, completion_tokens: 345 } })
    const chat = await openChat(ann, 'm1')
    await ann.do('message:send', { conversationId: chat, clientId: '1', content: 'A question' })
    await shows(figure(days, 'Runs', '1'))
    await shows(figure(days, 'Input tokens', '1,200'))
    await shows(figure(days, 'Output tokens', '345'))
    await shows(region(page, 'By model').getByRole('row', { name: /^m1 100 % 1,545 1 / }))
    await shows(region(page, 'Tokens').getByText('1,545 of 2,000,000 used'))
    await shows(days.getByRole('row', { name: /1,200 345/ }))
    const heights = await days
      .locator('.billing-input')
      .evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().height))
    assert.ok(heights.at(-1))
  })

  test('a quota that is used up is said with when it is full again, and credits go on from there', async () => {
    scene.models.script('m1', { usage: { prompt_tokens: 120_000, completion_tokens: 10 } })
    const chat = await openChat(ben, 'm1')
    writer = await browser.openAs(scene.url, ben.session, `/c/${chat}`)
    await write(writer.page, 'A long question')
    await shows(message(writer.page, 'Hello there.'))
    await write(writer.page, 'Another one')
    await shows(message(writer.page, /The quota is used up\..+Full again: .+\d/))
    const meter = writer.page.getByRole('main').getByRole('link', { name: /tokens left/ })
    await shows(meter.getByText(/^Full again: .+\d/))
    await meter.click()
    await shows(region(writer.page, 'Tokens').getByText('0 tokens left'))
    await shows(region(writer.page, 'Tokens').getByText(/^Full again: .+\d/))
    await shows(region(writer.page, 'Tokens').getByText('The quota is used up.'))
    await writer.page.getByRole('switch', { name: /^Go on with credits/ }).click()
    await hides(region(writer.page, 'Tokens').getByText('The quota is used up.'))
    await openConversation(writer.page, 'A long question')
    const failed = message(writer.page, 'The quota is used up.')
    await button(failed, 'Answer again').click()
    await writer.page.getByRole('menuitem', { name: 'Same model' }).press('Enter')
    await shows(message(writer.page, 'Hello there.').nth(1))
  })

  test('nothing went wrong unseen', () => wentWell(buyer, writer))
})
