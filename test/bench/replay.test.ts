import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseChat } from '../../bench/replay/chat.ts'
import { firstDifference, firstDifferenceOfSenders } from '../../bench/replay/compare.ts'

const said = ['anna: hello', 'bert: hello', 'anna: how are you?', 'anna: bye', 'bert: bye'].map((line) => {
  const [from = '', text = ''] = line.split(': ')
  return { from, text }
})
/** The chat with `count` messages from `index` on replaced by others. */
const changed = (index: number, count: number, ...others: typeof said) => said.toSpliced(index, count, ...others)
const at = (index: number) => {
  const message = said[index]
  assert.ok(message)
  return message
}

test('the same messages in the same order have no difference', () => {
  assert.equal(firstDifference(said, structuredClone(said)), undefined)
  assert.equal(firstDifferenceOfSenders(said, structuredClone(said)), undefined)
})

test('a missing message is reported with the one in its place', () => {
  assert.deepEqual(firstDifference(said, changed(1, 1)), { position: 2, expected: at(1), actual: at(2) })
  assert.deepEqual(firstDifference(said, said.slice(0, 4)), { position: 5, expected: at(4), actual: undefined })
  assert.deepEqual(firstDifference(said, []), { position: 1, expected: at(0), actual: undefined })
  assert.deepEqual(firstDifferenceOfSenders(said, changed(2, 1)), { position: 2, expected: at(2), actual: at(3) })
})

test('a doubled message is reported where it comes again', () => {
  assert.deepEqual(firstDifference(said, changed(1, 0, at(0))), { position: 2, expected: at(1), actual: at(0) })
  assert.deepEqual(firstDifference(said, [...said, at(4)]), { position: 6, expected: undefined, actual: at(4) })
  assert.deepEqual(firstDifferenceOfSenders(said, [...said, at(4)]), {
    position: 3,
    expected: undefined,
    actual: at(4),
  })
})

test('an altered text or sender is reported', () => {
  const louder = { from: 'anna', text: 'how are you? ' }
  assert.deepEqual(firstDifference(said, changed(2, 1, louder)), { position: 3, expected: at(2), actual: louder })
  assert.equal(firstDifferenceOfSenders(said, changed(2, 1, louder))?.actual, louder)
  const forged = { from: 'bert', text: 'how are you?' }
  assert.deepEqual(firstDifference(said, changed(2, 1, forged)), { position: 3, expected: at(2), actual: forged })
  assert.deepEqual(firstDifferenceOfSenders(said, changed(2, 1, forged)), {
    position: 2,
    expected: at(2),
    actual: at(3),
  })
})

test('messages that changed places are reported, between senders only where the order of all counts', () => {
  assert.deepEqual(firstDifference(said, changed(0, 2, at(1), at(0))), { position: 1, expected: at(0), actual: at(1) })
  assert.equal(firstDifferenceOfSenders(said, changed(0, 2, at(1), at(0))), undefined)
  assert.deepEqual(firstDifferenceOfSenders(said, changed(2, 2, at(3), at(2))), {
    position: 2,
    expected: at(2),
    actual: at(3),
  })
})

test('a message by someone who said nothing is reported', () => {
  const stranger = { from: 'carl', text: 'hello' }
  assert.deepEqual(firstDifferenceOfSenders(said, [...said, stranger]), {
    position: 1,
    expected: undefined,
    actual: stranger,
  })
})

test('every field of a message counts, but an absent one is one that is undefined', () => {
  const rows = [{ id: 'a', seq: 1, mentions: ['x'] }]
  assert.equal(firstDifference(rows, [{ id: 'a', seq: 1, mentions: ['x'], editedAt: undefined }]), undefined)
  for (const other of [
    { id: 'b', seq: 1, mentions: ['x'] },
    { id: 'a', seq: 1, mentions: ['y'] },
    { id: 'a', seq: 1 },
    { id: 'a', seq: 1, mentions: ['x'], editedAt: '2026-01-01T00:00:00.000Z' },
  ]) {
    assert.equal(firstDifference(rows, [other])?.position, 1, JSON.stringify(other))
    assert.equal(firstDifference([other], rows)?.position, 1, JSON.stringify(other))
  }
})

test('a chat log is read into its logs, people and lines', () => {
  const text = `{"log":"one","at":"10:00","from":"anna","text":"hello"}
{"log":"two","at":"10:01","from":"bert","text":" spaces stay "}
{"log":"one","at":"10:01","from":"bert","text":"hello"}
`
  assert.deepEqual(parseChat(text), {
    nicks: ['anna', 'bert'],
    logs: [
      {
        name: 'one',
        people: [0, 1],
        lines: [
          { person: 0, text: 'hello' },
          { person: 1, text: 'hello' },
        ],
      },
      { name: 'two', people: [1], lines: [{ person: 1, text: ' spaces stay ' }] },
    ],
  })
  assert.throws(() => parseChat(`${text}{"log":"one"}`), /Line 4 /)
})
