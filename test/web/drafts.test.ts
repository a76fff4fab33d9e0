import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createDrafts } from '../../web/src/messages/drafts.ts'

function storageOf(entries = new Map<string, string>()): Storage {
  return {
    get length() {
      return entries.size
    },
    clear: () => entries.clear(),
    getItem: (key) => entries.get(key) ?? null,
    key: (index) => [...entries.keys()][index] ?? null,
    removeItem: (key) => void entries.delete(key),
    setItem: (key, value) => void entries.set(key, value),
  }
}

const replyTo = { id: 'm', seq: 4, excerpt: 'earlier' }

describe('drafts', () => {
  test('each person has one in each conversation', () => {
    const drafts = createDrafts(storageOf())
    drafts.write('ann', 'c', { text: 'hello', replyTo })
    assert.deepEqual(drafts.read('ann', 'c'), { text: 'hello', replyTo })
    assert.equal(drafts.read('ann', 'd'), undefined)
    assert.equal(drafts.read('ben', 'c'), undefined)
  })

  test('an empty one is forgotten, one that only answers is kept', () => {
    const drafts = createDrafts(storageOf())
    drafts.write('ann', 'c', { text: ' ', replyTo })
    assert.ok(drafts.read('ann', 'c'))
    drafts.write('ann', 'c', { text: ' ' })
    assert.equal(drafts.read('ann', 'c'), undefined)
  })

  test('all are forgotten at once, and nothing else', () => {
    const storage = storageOf()
    const drafts = createDrafts(storage)
    drafts.write('ann', 'c', { text: 'a' })
    drafts.write('ben', 'd', { text: 'b' })
    storage.setItem('kintsugi.theme', 'dark')
    drafts.forgetAll()
    assert.deepEqual([drafts.read('ann', 'c'), drafts.read('ben', 'd')], [undefined, undefined])
    assert.equal(storage.getItem('kintsugi.theme'), 'dark')
  })

  test('a storage that is full, or holds something else, costs the draft alone', () => {
    const full = createDrafts({
      ...storageOf(new Map([['kintsugi.draft.ann.c', 'no JSON']])),
      setItem() {
        throw new DOMException('full', 'QuotaExceededError')
      },
    })
    full.write('ann', 'd', { text: 'a' })
    assert.equal(full.read('ann', 'c'), undefined)
  })
})
