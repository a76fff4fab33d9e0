import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeAgent } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { cast, heardDuring, openGroup, type Person, refuses } from './scene.ts'

let server: Backend
let owner: Person
let admin: Person
let member: Person
before(async () => {
  server = await startBackend()
  ;[owner, admin, member] = await cast(server.url, 'owner', 'admin', 'member')
})
after(() => server.end())

async function group(): Promise<string> {
  const conversationId = await openGroup(owner, admin, member)
  await owner.do('participant:update', { conversationId, userId: admin.id, role: 'admin' })
  return conversationId
}

const peopleOf = async (conversationId: string) => (await owner.do('participant:list', { conversationId })).participants

test('a change of role is heard by all; the same role again by nobody', async () => {
  const conversationId = await group()
  const [, , heard] = await heardDuring([owner, admin, member], async () => {
    const change = { conversationId, userId: member.id, role: 'admin' } as const
    assert.equal((await owner.do('participant:update', change)).role, 'admin')
    assert.equal((await owner.do('participant:update', change)).role, 'admin')
  })
  assert.deepEqual(
    heard?.map(({ event }) => event),
    ['participants:changed'],
  )
})

test('an agent can be admin, but neither made owner nor left as one', async () => {
  const agent = await makeAgent(server.url, owner)
  const { id: conversationId } = await owner.do('conversation:create', {
    ...{ type: 'group', title: 'With an agent' },
    participantIds: [agent.id, member.id],
  })
  const asAdmin = { conversationId, userId: agent.id, role: 'admin' } as const
  assert.equal((await owner.do('participant:update', asAdmin)).role, 'admin')
  await refuses(owner, 'unprocessable', 'participant:update', { ...asAdmin, role: 'owner' })
  await owner.do('conversation:leave', { conversationId })
  const { participants } = await member.do('participant:list', { conversationId })
  const roles = new Map(participants.map(({ userId, role }) => [userId, role]))
  assert.deepEqual([roles.get(agent.id), roles.get(member.id)], ['admin', 'owner'])
})

test('the last owner stays one until there is another', async () => {
  const conversationId = await group()
  const demote = { conversationId, userId: owner.id, role: 'member' } as const
  await refuses(owner, 'unprocessable', 'participant:update', demote)
  await owner.do('participant:update', { conversationId, userId: admin.id, role: 'owner' })
  await owner.do('participant:update', demote)
  await refuses(admin, 'unprocessable', 'participant:update', { ...demote, userId: admin.id })
})

test('two owners who step down at once leave one owner', async () => {
  const conversationId = await group()
  await owner.do('participant:update', { conversationId, userId: admin.id, role: 'owner' })
  const acks = await Promise.all(
    [owner, admin].map((one) => one.ask('participant:update', { conversationId, userId: one.id, role: 'member' })),
  )
  assert.deepEqual(acks.map(({ ok }) => ok).sort(), [false, true])
  assert.equal((await peopleOf(conversationId)).filter(({ role }) => role === 'owner').length, 1)
})

test('the last owner who leaves hands on to the longest-standing admin, or else member', async () => {
  const conversationId = await openGroup(owner, member, admin)
  await owner.do('participant:update', { conversationId, userId: admin.id, role: 'admin' })
  await owner.do('conversation:leave', { conversationId })
  await owner.hears('conversation:removed', (it) => it.conversationId === conversationId)
  const news = await member.hears(
    'participants:changed',
    (it) => it.conversationId === conversationId && JSON.stringify(it).includes('leftAt'),
  )
  const roles = (news.participants as unknown as { userId: string; role: string }[]).map(({ userId, role }) => [
    userId,
    role,
  ])
  assert.deepEqual(
    roles.toSorted(),
    [
      [owner.id, 'owner'],
      [admin.id, 'owner'],
    ].toSorted(),
  )
  await admin.do('conversation:leave', { conversationId })
  const last = await member.do('conversation:get', { conversationId })
  assert.deepEqual(
    last.participants.map(({ userId, role }) => [userId, role]),
    [[member.id, 'owner']],
  )
  await member.do('conversation:leave', { conversationId })
  await refuses(member, 'not_found', 'conversation:get', { conversationId })
})
