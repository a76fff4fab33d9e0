import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Message, PendingMessage } from '../../src/client/index.ts'
import { createRows, type MessageRow, pendingRows, type RowOptions, rowIndexOf } from '../../web/src/messages/rows.ts'

const me = 'me'
const start = new Date(2026, 10, 21, 12).getTime()

/** The message of this seq, a minute after the one before it. */
function message(seq: number, changes: Partial<Message> = {}): Message {
  return {
    id: `id-${seq}`,
    conversationId: 'c',
    seq,
    change: seq,
    senderId: 'ann',
    role: 'user',
    type: 'text',
    content: `text ${seq}`,
    status: 'sent',
    createdAt: new Date(start + seq * 60_000).toISOString(),
    ...changes,
  }
}

const options = (changes: Partial<RowOptions> = {}): RowOptions => ({
  userId: me,
  firstUnreadSeq: undefined,
  isComparison: false,
  ...changes,
})
const answer = (seq: number, modelId: string) => message(seq, { role: 'assistant', senderId: undefined, modelId })
const many = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => message(from + index))
const seqsOf = (rows: readonly MessageRow[]) => rows.map((row) => row.messages.map(({ seq }) => seq))

describe('rows of messages', () => {
  test('messages of one sender within five minutes make a group', () => {
    const messages = [message(1), message(2), message(3, { senderId: 'ben' }), message(9, { senderId: 'ben' })]
    const rows = createRows(options())(messages)
    assert.deepEqual(
      rows.map(({ startsGroup }) => startsGroup),
      [true, false, true, true],
    )
  })

  test('the first row of each day says so, and begins a group', () => {
    const evening = new Date(2026, 10, 21, 23, 59).toISOString()
    const night = new Date(2026, 10, 22, 0, 1).toISOString()
    const rows = createRows(options())([message(1, { createdAt: evening }), message(2, { createdAt: night })])
    assert.deepEqual(
      rows.map(({ day }) => day),
      [evening, night],
    )
    assert.equal(rows[1]?.startsGroup, true)
  })

  test('the first unread message is marked', () => {
    const rows = createRows(options({ firstUnreadSeq: 2 }))([message(1), message(2), message(3)])
    assert.deepEqual(
      rows.map(({ isFirstUnread }) => isFirstUnread),
      [false, true, false],
    )
  })

  test('answers that follow each other are one row where models are compared', () => {
    const messages = [message(1), answer(2, 'a'), answer(3, 'b'), message(4), answer(5, 'a')]
    assert.deepEqual(seqsOf(createRows(options({ isComparison: true }))(messages)), [[1], [2, 3], [4], [5]])
    assert.deepEqual(seqsOf(createRows(options())(messages)), [[1], [2], [3], [4], [5]])
  })

  test('an answer that comes joins the row of the ones before it', () => {
    const rowsOf = createRows(options({ isComparison: true }))
    const messages = [message(1), answer(2, 'a')]
    rowsOf(messages)
    assert.deepEqual(seqsOf(rowsOf([...messages, answer(3, 'b')])), [[1], [2, 3]])
  })

  test('unchanged messages keep their row objects when one of them grows', () => {
    const rowsOf = createRows(options())
    const messages = many(1, 100)
    const before = rowsOf(messages)
    assert.equal(rowsOf(messages), before)
    messages[50] = { ...messages[50]!, content: 'grown' }
    const after = rowsOf(messages)
    const kept = after.filter((row, index) => row === before[index]).length
    assert.equal(after[50]?.messages[0]?.content, 'grown')
    assert.ok(kept >= 97, `${kept} of 100 rows were kept`)
  })

  test('older messages in front leave all rows but the first as they were', () => {
    const rowsOf = createRows(options())
    const before = rowsOf(many(51, 100))
    const after = rowsOf(many(1, 50).concat(before.map((row) => row.messages[0]!)))
    assert.deepEqual(after.slice(51), before.slice(1))
    assert.equal(after[51], before[1])
    assert.equal(after[50]?.day, undefined)
  })

  test('however a list changes, its rows are those of a list made anew', () => {
    for (const isComparison of [false, true]) {
      const rowsOf = createRows(options({ isComparison }))
      let messages = Array.from({ length: 12 }, (_, index) =>
        index % 3 ? answer(index + 20, 'a') : message(index + 20),
      )
      let seed = 7
      const random = (below: number) => {
        seed = (seed * 16_807) % 2_147_483_647
        return seed % below
      }
      for (let step = 0; step < 300; step++) {
        const kind = random(4)
        const first = messages[0]?.seq ?? 20
        const last = messages.at(-1)?.seq ?? 20
        const made = (seq: number) => (random(2) ? answer(seq, 'b') : message(seq))
        if (kind === 0 && first > -400) messages = [made(first - 2), made(first - 1), ...messages]
        else if (kind === 1) messages = [...messages, made(last + 1)]
        else if (kind === 2) messages = messages.with(random(messages.length), made(first + random(messages.length)))
        else messages = messages.slice(random(3))
        messages = messages.map((one, index) => (one.seq === first + index ? one : { ...one, seq: first + index }))
        assert.deepEqual(rowsOf(messages), createRows(options({ isComparison }))(messages))
        if (messages.length < 4) messages = many(20, 30)
      }
    }
  })

  test('a message of one’s own keeps its key when it is stored', () => {
    const pending: PendingMessage = {
      conversationId: 'c',
      clientId: 'x',
      content: 'a',
      createdAt: message(2).createdAt,
    }
    const [before] = pendingRows([pending], message(1), me)
    const [after] = createRows(options())([message(2, { senderId: me, clientId: 'x' })])
    assert.equal(before?.key, after?.key)
  })

  test('pending messages go on from one’s own last message', () => {
    const pending: PendingMessage = {
      conversationId: 'c',
      clientId: 'x',
      content: 'a',
      createdAt: message(2).createdAt,
    }
    const other = { ...pending, clientId: 'y' }
    assert.deepEqual(
      pendingRows([pending, other], message(1, { senderId: me }), me).map(({ startsGroup }) => startsGroup),
      [false, false],
    )
    assert.equal(pendingRows([pending], message(1), me)[0]?.startsGroup, true)
  })

  test('the row of a seq is found, also in a row of several answers', () => {
    const rows = createRows(options({ isComparison: true }))([message(4), answer(5, 'a'), answer(6, 'b'), message(7)])
    assert.deepEqual(
      [3, 4, 5, 6, 7, 8].map((seq) => rowIndexOf(rows, seq)),
      [-1, 0, 1, 1, 2, 2],
    )
    assert.equal(rowIndexOf([], 1), -1)
  })
})
