import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mentionedNames } from '../../src/messenger/mentions.ts'
import { complete, completionsOf, mentionBefore, splitMentions } from '../../web/src/messages/mentions.ts'

const ann = { userId: '1', username: 'ann.m', displayName: 'Ann Mori' }
const ben = { userId: '2', username: 'ben', displayName: 'Ben Anders' }
const cho = { userId: '3', username: 'cho', displayName: '조 민지' }
const people = [ben, ann, cho]

describe('completing a mention', () => {
  test('begins with an @ before the caret that is not in a word', () => {
    assert.deepEqual(mentionBefore('Hi @an', 6), { start: 3, query: 'an' })
    assert.deepEqual(mentionBefore('@', 1), { start: 0, query: '' })
    assert.equal(mentionBefore('ann@an', 6), undefined)
    assert.equal(mentionBefore('Hi @an there', 12), undefined)
    assert.equal(mentionBefore('Hi @an', 2), undefined)
  })

  test('offers usernames before names, whatever the case', () => {
    assert.deepEqual(completionsOf('AN', people), [ann, ben])
    assert.deepEqual(completionsOf('민', people), [cho])
    assert.deepEqual(completionsOf('', people), people)
    assert.deepEqual(completionsOf('zz', people), [])
  })

  test('offers no more than there is room for', () => {
    const crowd = Array.from({ length: 40 }, (_, index) => ({ ...ben, userId: `${index}`, username: `ben${index}` }))
    assert.equal(completionsOf('ben', crowd).length, 8)
  })

  test('puts the name in place of what was typed, with one space behind it', () => {
    assert.deepEqual(complete('Hi @an there', 3, 6, 'ann.m'), { text: 'Hi @ann.m there', caret: 10 })
    assert.deepEqual(complete('@', 0, 1, 'ben'), { text: '@ben ', caret: 5 })
  })
})

describe('finding mentions', () => {
  const names = new Set(['ann.m', 'ben'])
  const found = (text: string) => splitMentions(text, names).flatMap(({ username }) => username ?? [])

  test('parts put together are the text', () => {
    const text = '@ben, ask @ann.m. Not x@ben or @nobody @BEN'
    assert.equal(
      splitMentions(text, names)
        .map((part) => part.text)
        .join(''),
      text,
    )
    assert.deepEqual(found(text), ['ben', 'ann.m', 'ben'])
  })

  test('finds what the server takes for a mention', () => {
    for (const text of [
      '@ben',
      '@ben.',
      '@ben-',
      '(@ben)',
      '@ann.m..',
      'a@ben',
      '@be',
      '@benny',
      'hi @Ben!',
      '@ben@ann.m',
    ]) {
      const byServer = (mentionedNames(text) ?? []).filter((name) => names.has(name))
      assert.deepEqual(new Set(found(text)), new Set(byServer), text)
    }
  })
})
