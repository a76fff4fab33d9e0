import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encode } from 'uqr'
import { byUsername, codePath, invitedBy, inviteLink } from '../../web/src/conversations/invite.ts'

describe('an invitation', () => {
  it('leads to whoever invites', () => {
    const link = inviteLink('https://chat.example.org', 'ada.l-1_2')
    assert.equal(link, 'https://chat.example.org/invite/ada.l-1_2')
    assert.equal(invitedBy(new URL(link).pathname), 'ada.l-1_2')
  })

  it('is nothing else than its path', () => {
    assert.equal(invitedBy('/invite/ada/'), 'ada')
    for (const path of ['/', '/invite/', '/invite', '/c/ada', '/invite/a/b', '/x/invite/ada', '/invite/%E0%A4%A'])
      assert.equal(invitedBy(path), undefined, path)
  })
})

describe('the drawing of a code', () => {
  it('has the dark squares of a row that touch in one piece', () => {
    const rows = [
      [true, true, false, true],
      [false, false, false, false],
      [false, true, true, true],
    ]
    assert.equal(codePath(rows), 'M0 0h2v1h-2zM3 0h1v1h-1zM1 2h3v1h-3z')
  })

  it('covers just the dark squares', () => {
    const { data } = encode('https://chat.example.org/invite/ada', { ecc: 'M', border: 2 })
    const drawn = data.map((row) => row.map(() => false))
    for (const [, x, y, width] of codePath(data).matchAll(/M(\d+) (\d+)h(\d+)/g))
      for (let at = 0; at < Number(width); at++) drawn[Number(y)]![Number(x) + at] = true
    assert.deepEqual(drawn, data)
  })
})

describe('whoever invites', () => {
  const named = (...usernames: string[]) => usernames.map((username) => ({ username }))

  it('is the one of exactly that name, whatever its case', async () => {
    const search = async () => ({ items: named('ada.lovelace', 'Ada', 'adam') })
    assert.deepEqual(await byUsername('ADA', search), { username: 'Ada' })
    assert.equal(await byUsername('adams', search), undefined)
  })

  it('is found behind others whose names begin alike', async () => {
    const pages = [{ items: named('abe'), nextCursor: 'abe' }, { items: named('ada') }]
    const cursors: (string | undefined)[] = []
    const found = await byUsername('ada', async (_, { cursor }) => {
      cursors.push(cursor)
      return pages[cursors.length - 1]!
    })
    assert.deepEqual(found, { username: 'ada' })
    assert.deepEqual(cursors, [undefined, 'abe'])
  })

  it('is not looked for without end', async () => {
    let asked = 0
    const found = await byUsername('ada', async () => {
      asked++
      return { items: named('other'), nextCursor: 'other' }
    })
    assert.equal(found, undefined)
    assert.equal(asked, 5)
  })
})
