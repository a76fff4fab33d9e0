import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Participant } from '../../src/client/index.ts'
import { reachOf, tickOf } from '../../web/src/messages/receipts.ts'

const person = (userId: string, lastReadSeq: number, lastDeliveredSeq: number): Participant => ({
  userId,
  kind: 'human',
  username: userId,
  displayName: userId,
  role: 'member',
  lastReadSeq,
  lastDeliveredSeq,
  joinedAt: '2026-11-21T09:31:10.204Z',
})

describe('ticks of own messages', () => {
  test('a message counts as read or delivered once that holds for all others', () => {
    const reach = reachOf([person('me', 9, 9), person('ann', 3, 8), person('ben', 5, 6)], 3, 'me')
    assert.deepEqual(reach, { read: 3, delivered: 6 })
    assert.deepEqual(
      [3, 4, 6, 7].map((seq) => tickOf(seq, reach)),
      ['read', 'delivered', 'delivered', 'sent'],
    )
  })

  test('what was read was delivered', () => {
    assert.deepEqual(reachOf([person('ann', 5, 0)], 1, 'me'), { read: 5, delivered: 5 })
  })

  test('nothing is said where positions are not known, or nobody reads', () => {
    assert.equal(reachOf([person('me', 1, 1), person('ann', 1, 1)], 60, 'me'), undefined)
    assert.equal(reachOf([person('me', 1, 1)], 1, 'me'), undefined)
    assert.equal(reachOf([{ ...person('bot', 1, 1), kind: 'agent' }], 1, 'me'), undefined)
    assert.equal(tickOf(1, undefined), 'sent')
  })
})
