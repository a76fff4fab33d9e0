import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Conversation, Message, Participant, User } from '../../src/client/index.ts'
import { acquaintancesIn, marked, matches, withTitle } from '../../web/src/conversations/filter.ts'
import { allPeople, hasAllPeople, inOrder } from '../../web/src/conversations/people.ts'
import { mayRemove, ownRole, rightsOf } from '../../web/src/conversations/rights.ts'
import { keyOf, listRows, marksOf, searchRows, speakerOf } from '../../web/src/conversations/rows.ts'

const me = 'me'

function person(userId: string, more: Partial<Participant> = {}): Participant {
  const names = { username: userId, displayName: userId.toUpperCase(), kind: 'human' } as const
  return { userId, ...names, role: 'member', lastReadSeq: 0, lastDeliveredSeq: 0, joinedAt: '', ...more }
}

function conversation(id: string, more: Partial<Conversation> = {}): Conversation {
  const participants = more.participants ?? [person(me), person('ada')]
  return {
    id,
    type: 'group',
    title: id,
    lastSeq: 0,
    lastChange: 0,
    participantCount: participants.length,
    createdAt: '',
    updatedAt: '',
    settings: { isPinned: false, isMuted: false, isArchived: false },
    ...{ lastReadSeq: 0, unreadCount: 0, unreadMentions: 0 },
    ...more,
    participants,
  }
}

const message = (more: Partial<Message> = {}): Message => ({
  ...{ id: 'm', conversationId: 'c', seq: 1, change: 1, role: 'user', type: 'text', content: 'hi', status: 'sent' },
  createdAt: '',
  ...more,
})

const user = (id: string): User => ({ id, kind: 'human', username: id, displayName: id })
const archived = { isPinned: false, isMuted: false, isArchived: true }
const titleOf = ({ title = '' }: Conversation) => title

describe('a search among titles', () => {
  it('takes letters for the same whatever their case and marks', () => {
    assert.ok(matches('Café Müller', 'muller cafe'))
    assert.ok(matches('İstanbul', 'istanbul'))
    assert.ok(matches('ひらがな', 'らが'))
    assert.ok(!matches('Café Müller', 'cafe mueller'))
  })

  it('finds Korean by whole syllables, however they are composed', () => {
    assert.ok(matches('김민지', '민지'.normalize('NFD')))
    assert.ok(!matches('김민지', '지민'))
  })

  it('keeps the order, and gives all for no words', () => {
    const all = ['Relay 70', 'Moths', 'The relay'].map((title) => conversation(title))
    assert.deepEqual(withTitle(all, ' relay ', titleOf).map(titleOf), ['Relay 70', 'The relay'])
    assert.equal(withTitle(all, '  ', titleOf).length, 3)
  })
})

describe('the words of a hit', () => {
  it('are told apart, without regard to case', () => {
    assert.deepEqual(marked('The Relay is fixed', 'relay FIXED'), [
      { text: 'The ', isHit: false },
      { text: 'Relay', isHit: true },
      { text: ' is ', isHit: false },
      { text: 'fixed', isHit: true },
    ])
  })

  it('are literal: what has a meaning in patterns stands for itself', () => {
    const pieces = marked('is (a+b)? yes', '(a+b)? [')
    assert.deepEqual(
      pieces.filter(({ isHit }) => isHit).map(({ text }) => text),
      ['(a+b)?'],
    )
  })

  it('are brought in sight where they stand far behind', () => {
    const pieces = marked(`${'long '.repeat(40)}needle here`, 'needle')
    assert.match(pieces[0]?.text ?? '', /^….{24}$/)
    assert.deepEqual(pieces[1], { text: 'needle', isHit: true })
  })

  it('lose nothing of a text without any', () => {
    assert.deepEqual(marked('as it is', 'other'), [{ text: 'as it is', isHit: false }])
    assert.deepEqual(marked('as it is', ' '), [{ text: 'as it is', isHit: false }])
  })
})

describe('the lines of the list', () => {
  const all = [conversation('a'), conversation('b', { settings: archived }), conversation('c')]

  it('have archived conversations folded away at the end', () => {
    assert.deepEqual(listRows(all, false).map(keyOf), ['a', 'c', 'archive'])
    assert.deepEqual(listRows(all, true).map(keyOf), ['a', 'c', 'archive', 'b'])
  })

  it('have no part for archived ones where there are none', () => {
    assert.deepEqual(listRows([conversation('a')], true).map(keyOf), ['a'])
  })

  it('of a search are conversations, then people, then messages', () => {
    const found = { people: [user('ann')], messages: [message({ id: 'm1' })] }
    const rows = searchRows({ conversations: all, query: 'b', titleOf, found })
    assert.deepEqual(rows.map(keyOf), ['b', 'heading.people', 'person.ann', 'heading.messages', 'hit.m1'])
  })

  it('of a search leave out people whose conversation is there already, and headings of nothing', () => {
    const direct = conversation('Ada', { type: 'direct', participants: [person(me), person('ada')] })
    const found = { people: [user('ada')], messages: [] }
    const rows = searchRows({ conversations: [direct], query: 'ad', titleOf, found })
    assert.deepEqual(rows.map(keyOf), ['Ada'])
  })
})

describe('the marks of an entry', () => {
  it('count what is unread, up to a hundred', () => {
    assert.equal(marksOf(conversation('a')).unread, '')
    assert.equal(marksOf(conversation('a', { unreadCount: 99 })).unread, '99')
    assert.equal(marksOf(conversation('a', { unreadCount: 100 })).unread, '99+')
  })

  it('tell mentions, settings, and agents one writes to directly', () => {
    const bot = person('bot', { kind: 'agent' })
    const settings = { isPinned: true, isMuted: true, isArchived: false }
    const direct = conversation('a', { type: 'direct', participants: [person(me), bot], settings, unreadMentions: 1 })
    assert.deepEqual(marksOf(direct), { unread: '', isMentioned: true, isPinned: true, isMuted: true, isAgent: true })
    assert.equal(marksOf(conversation('b', { participants: [person(me), bot] })).isAgent, false)
  })

  it('name who spoke in groups, and oneself wherever people talk', () => {
    const by = (senderId: string) => ({ lastMessage: message({ senderId }) })
    assert.equal(speakerOf(conversation('a', by('ada')), me), 'other')
    assert.equal(speakerOf(conversation('a', by(me)), me), 'self')
    assert.equal(speakerOf(conversation('a', { type: 'direct', ...by(me) }), me), 'self')
    assert.equal(speakerOf(conversation('a', { type: 'direct', ...by('ada') }), me), undefined)
    assert.equal(speakerOf(conversation('a', { type: 'assistant', ...by(me) }), me), undefined)
    assert.equal(speakerOf(conversation('a', { lastMessage: message({ role: 'system' }) }), me), undefined)
    assert.equal(speakerOf(conversation('a'), me), undefined)
  })
})

describe('what may be done', () => {
  it('in a group follows from the role', () => {
    const none = { mayChange: false, mayAdd: false, mayChangeRoles: false, mayLeave: true, mayDelete: false }
    assert.deepEqual(rightsOf('group', 'member'), none)
    assert.deepEqual(rightsOf('group', undefined), none)
    assert.deepEqual(rightsOf('group', 'admin'), { ...none, mayChange: true, mayAdd: true })
    assert.deepEqual(Object.values(rightsOf('group', 'owner')), [true, true, true, true, true])
  })

  it('in others is less: direct ones stay as they are, AI chats have no people to manage', () => {
    assert.deepEqual(Object.values(rightsOf('direct', 'owner')), [false, false, false, false, false])
    const { mayChange, mayDelete, ...others } = rightsOf('assistant', 'owner')
    assert.deepEqual([mayChange, mayDelete], [true, true])
    assert.deepEqual(Object.values(others), [false, false, false])
  })

  it('about others: owners remove anybody, admins members alone', () => {
    assert.ok(mayRemove('owner', 'owner') && mayRemove('owner', 'admin') && mayRemove('admin', 'member'))
    assert.ok(!mayRemove('admin', 'admin') && !mayRemove('member', 'member') && !mayRemove(undefined, 'member'))
  })

  it('is not known for who is not among the people at hand', () => {
    assert.equal(ownRole([person('ada', { role: 'owner' })], me), undefined)
    assert.equal(ownRole([person(me, { role: 'admin' })], me), 'admin')
  })
})

describe('people', () => {
  it('stand in the order of their roles, then of their names', () => {
    const named = (displayName: string, role: Participant['role']) => person(displayName, { displayName, role })
    const people = [named('öz', 'member'), named('Zoe', 'admin'), named('Pia', 'member'), named('Max', 'owner')]
    assert.deepEqual(
      inOrder(people, 'en').map(({ displayName }) => displayName),
      ['Max', 'Zoe', 'öz', 'Pia'],
    )
  })

  it('of a large group come page after page', async () => {
    const pages = [{ participants: [person('a')], nextCursor: '2' }, { participants: [person('b')] }]
    const asked: (string | undefined)[] = []
    const all = await allPeople(async (cursor) => {
      asked.push(cursor)
      return pages[asked.length - 1]!
    })
    assert.deepEqual(
      all.map(({ userId }) => userId),
      ['a', 'b'],
    )
    assert.deepEqual(asked, [undefined, '2'])
    assert.ok(hasAllPeople(conversation('a')))
    assert.ok(!hasAllPeople(conversation('a', { participantCount: 51 })))
  })

  it('whom one knows are those of direct conversations that are not archived', () => {
    const direct = (id: string, more: Partial<Conversation> = {}) =>
      conversation(id, { type: 'direct', participants: [person(me), person(id)], ...more })
    const all = [direct('ada'), conversation('group'), direct('old', { settings: archived }), direct('grace')]
    assert.deepEqual(
      acquaintancesIn(all, me).map(({ id }) => id),
      ['ada', 'grace'],
    )
  })
})
