import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '../../src/kernel/ids.ts'

test('ids are UUIDs of version 7 that rise, within a millisecond too, and carry the time', () => {
  const before = Date.now()
  const ids = Array.from({ length: 20_000 }, newId)
  const after = Date.now()
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.deepEqual(ids, [...new Set(ids)].sort())
  const times = ids.map((id) => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16))
  assert.ok(times.every((time) => time >= before && time <= after))
})

test('the ends of ids are chance, whichever pool they are from', () => {
  const ends = new Set(Array.from({ length: 1_000 }, () => newId().slice(-12)))
  assert.equal(ends.size, 1_000)
})
