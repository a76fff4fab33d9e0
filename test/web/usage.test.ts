import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { shownAt } from '../../web/src/account/sections.ts'
import { deviceOf, inOrder } from '../../web/src/account/session-label.ts'
import { isOngoing, isUpwards } from '../../web/src/billing/subscription.ts'
import { daysOf, sharesOf, topOf } from '../../web/src/billing/usage.ts'
import { windowAt } from '../../web/src/billing/window.ts'

const figures = { runs: 1, inputTokens: 100, outputTokens: 50, credits: 2 }

describe('the chart of usage', () => {
  it('has every day of the report, also those without use', () => {
    const days = daysOf({ from: '2026-02-27', to: '2026-03-02', items: [{ day: '2026-03-01', ...figures }] })
    assert.deepEqual(
      days.map(({ day, inputTokens, outputTokens }) => [day, inputTokens, outputTokens]),
      [
        ['2026-02-27', 0, 0],
        ['2026-02-28', 0, 0],
        ['2026-03-01', 100, 50],
        ['2026-03-02', 0, 0],
      ],
    )
  })

  it('has no day twice and none too few where clocks are set back', () => {
    const days = daysOf({ from: '2026-10-01', to: '2026-10-31', items: [] })
    assert.equal(new Set(days.map(({ day }) => day)).size, 31)
  })

  it('has a scale that holds the highest day, and is never without height', () => {
    for (const highest of [0, 1, 2, 3, 19, 20, 21, 999, 1000, 1001, 4_999_999]) {
      const top = topOf(highest)
      assert.ok(top >= highest && top > 0 && (highest < 2 || top <= highest * 2), `${top} for ${highest}`)
    }
  })

  it('gives models their parts of the whole, the most first', () => {
    const shares = sharesOf([
      { modelId: 'small', ...figures, inputTokens: 10, outputTokens: 15 },
      { modelId: 'large', ...figures, inputTokens: 50, outputTokens: 25 },
    ])
    assert.deepEqual(
      shares.map(({ item, tokens, part }) => [item.modelId, tokens, part]),
      [
        ['large', 75, 0.75],
        ['small', 25, 0.25],
      ],
    )
    assert.equal(sharesOf([{ modelId: 'idle', ...figures, inputTokens: 0, outputTokens: 0 }])[0]?.part, 0)
  })
})

describe('the token window', () => {
  const tokens = { limit: 1000, used: 900, remaining: 100, resetAt: '2026-11-21T18:00:00.000Z' }

  it('is as the wallet says until it ends', () => {
    assert.equal(windowAt(tokens, new Date('2026-11-21T17:59:59.999Z')).remaining, 100)
  })

  it('is full from its end on, without being told', () => {
    assert.deepEqual(windowAt(tokens, new Date('2026-11-21T18:00:00.000Z')), {
      limit: 1000,
      used: 0,
      remaining: 1000,
      resetAt: undefined,
    })
  })

  it('stays without a limit where there is none', () => {
    const { limit, remaining } = windowAt({ used: 5, resetAt: tokens.resetAt }, new Date('2026-11-22T00:00:00.000Z'))
    assert.deepEqual([limit, remaining], [undefined, undefined])
  })
})

describe('a change of plan', () => {
  const money = (amount: number) => ({ amount, currency: 'USD' })
  const plan = (code: string, price: number) => ({
    ...{ code, name: code, windowHours: 6, monthlyCredits: 0 },
    ...{ priceMonthly: money(price), priceYearly: money(price * 10) },
  })
  const plans = [plan('basic', 0), plan('starter', 999), plan('pro', 2999)]

  it('is upwards to a dearer plan, and from a month to a year of the same', () => {
    const starter = { plan: 'starter', period: 'monthly' } as const
    assert.ok(isUpwards(plans, starter, { plan: 'pro', period: 'monthly' }))
    assert.ok(isUpwards(plans, starter, { plan: 'starter', period: 'yearly' }))
    assert.ok(!isUpwards(plans, { plan: 'pro', period: 'monthly' }, { plan: 'starter', period: 'yearly' }))
    assert.ok(!isUpwards(plans, { plan: 'starter', period: 'yearly' }, starter))
  })

  it('needs a subscription of which something may still come', () => {
    assert.ok(isOngoing({ status: 'unpaid', plan: 'pro' }))
    for (const status of ['none', 'cancelled', 'expired'] as const) assert.ok(!isOngoing({ status, plan: 'pro' }))
  })
})

describe('a login in the list', () => {
  it('is called as its client calls itself, else by its User-Agent, else not at all', () => {
    assert.equal(deviceOf({ device: { name: 'Firefox on Linux', userAgent: 'Mozilla/5.0' } }), 'Firefox on Linux')
    assert.equal(deviceOf({ device: { name: ' ', userAgent: 'curl/8.5.0' } }), 'curl 8.5.0')
    assert.equal(deviceOf({ device: {} }), undefined)
  })

  it('comes first where it is the one that asks, then by its last use', () => {
    const session = (id: string, lastUsedAt: string, isCurrent = false) => ({
      ...{ id, device: {}, lastUsedAt, isCurrent },
      ...{ loggedInAt: lastUsedAt, expiresAt: lastUsedAt },
    })
    const ordered = inOrder([
      session('old', '2026-01-01'),
      session('new', '2026-03-01'),
      session('own', '2026-02-01', true),
    ])
    assert.deepEqual(
      ordered.map(({ id }) => id),
      ['own', 'new', 'old'],
    )
  })
})

describe('an address of the settings', () => {
  it('leads to a section, also where a provider of payments leads back', () => {
    assert.deepEqual(shownAt('/settings'), {})
    assert.deepEqual(shownAt('/settings/agents'), { section: 'agents' })
    assert.deepEqual(shownAt('/billing/subscription'), { section: 'plan' })
    assert.deepEqual(shownAt('/billing'), { section: 'plan' })
    assert.deepEqual(shownAt('/billing/payments/p1'), { section: 'payments', paymentId: 'p1' })
  })

  it('leads to the list where nothing is called so', () => {
    assert.deepEqual(shownAt('/settings/nothing'), {})
    assert.deepEqual(shownAt('/settings/constructor'), {})
  })
})
