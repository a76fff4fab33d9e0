import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { sql } from 'kysely'
import { newId } from '../../src/kernel/ids.ts'
import { createAppend } from '../../src/messenger/append-messages.ts'
import type { NewMessage } from '../../src/messenger/new-message.ts'
import { createAppendPlain } from '../../src/messenger/plain-messages.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

/** The database functions of the send path, without a server: that the short ways write what the long one does. */

let open: TestDatabase
let ann: string
let ben: string
before(async () => {
  open = await openTestDatabase()
})
after(() => open.close())
beforeEach(async () => {
  ;[ann, ben] = [await person(), await person()]
})

async function person(): Promise<string> {
  const id = newId()
  await open.database.query(
    sql`insert into users (id, username, display_name) values (${id}, ${`u${id.slice(-12)}`}, 'U')`,
  )
  return id
}

/** A group of two in which five messages stand, of which the first has read all and the second none. */
async function conversation(): Promise<string> {
  const id = newId()
  await open.database.query(
    sql`insert into conversations (id, type, title, created_by, last_seq, last_change, members_change)
      values (${id}, 'group', 'G', ${ann}, 5, 9, 2)`,
  )
  await open.database.query(
    sql`insert into participants (conversation_id, user_id, last_read_seq, change)
      values (${id}, ${ann}, 5, 1), (${id}, ${ben}, 0, 2)`,
  )
  return id
}

const message = (conversationId: string, senderId: string, content = 'text'): NewMessage => ({
  id: newId(),
  conversationId,
  senderId,
  clientId: randomUUID(),
  clientHash: 'ab'.repeat(32),
  content,
})

/** All that sending writes, without what differs from one run to the next. */
async function stored(conversationId: string) {
  const read = (table: string, columns: string, order: string) =>
    open.database.query(
      sql.raw<Record<string, unknown>>(
        `select ${columns} from ${table} where ${table === 'conversations' ? 'id' : 'conversation_id'} = '${conversationId}' order by ${order}`,
      ),
    )
  return {
    conversation: await read('conversations', 'last_seq, last_change, last_message_at is null as is_still', 'id'),
    participants: await read(
      'participants',
      'user_id, last_read_seq, last_read_at is null as is_unread, last_read_at = updated_at as is_updated, left_at',
      'user_id',
    ),
    messages: await read(
      'messages',
      `seq, change, created_change, sender_id, role, type, content, status, encode(client_hash, 'hex') as hash,
        reply_to_id, story_id, forwarded_from`,
      'seq',
    ),
    receipts: await read('read_receipts', 'user_id, up_to_seq', 'user_id, up_to_seq'),
  }
}

/** By append_messages. */
const atLength = (group: NewMessage[]) => createAppend(open.database)(group)
const shortly = (group: NewMessage[]) => createAppendPlain(open.database)(group)

const senders: [string, () => string[], isAlone?: boolean][] = [
  ['one message', () => [ann], true],
  ['one message of somebody who had not read', () => [ben], true],
  ['one message beside another conversation’s', () => [ann]],
  ['several messages', () => [ann, ann, ben, ann]],
  ['several of somebody who had not read', () => [ben, ben]],
]
for (const [name, of, isAlone] of senders) {
  test(`both ways store and answer alike: ${name}`, async () => {
    const [short, long] = [await conversation(), await conversation()]
    const elsewhere = await conversation()
    const group = (id: string) => of().map((sender, n) => message(id, sender, `quote " and \\ and {${n}},\n안녕`))
    const further = isAlone ? [] : [message(elsewhere, ben)]

    const { outcome: plain, left } = await shortly([...group(short), ...further])
    const general = await atLength(group(long))
    assert.deepEqual(left, [])
    const count = of().length
    const numbers = ({ seqs, changes, types }: typeof plain) => ({
      seqs: seqs.slice(0, count),
      changes: changes.slice(0, count),
      types: types.slice(0, count),
    })
    assert.deepEqual(numbers(plain), numbers(general))
    assert.deepEqual(plain.members[short], '2')
    assert.deepEqual(general.members[long], '2')
    assert.deepEqual(await stored(short), await stored(long))
    assert.equal((await stored(elsewhere)).messages.length, further.length)
  })
}

const run = (statement: ReturnType<typeof sql>) => open.database.query(statement)

const strangers: [string, (id: string) => Promise<unknown>][] = [
  [
    'has left',
    (id) => run(sql`update participants set left_at = now() where conversation_id = ${id} and user_id = ${ann}`),
  ],
  ['was never in it', (id) => run(sql`delete from participants where conversation_id = ${id} and user_id = ${ann}`)],
]
for (const [name, leave] of strangers) {
  test(`the short ways store nothing where a sender ${name}`, async () => {
    const [id, other] = [await conversation(), await conversation()]
    await leave(id)
    const before = [await stored(id), await stored(other)]
    assert.deepEqual((await shortly([message(id, ann)])).left, [0])
    assert.deepEqual((await shortly([message(other, ann), message(id, ann)])).left, [0, 1])
    assert.deepEqual([await stored(id), await stored(other)], before)
  })
}

const obstacles: [string, (id: string) => Promise<unknown>][] = [
  ['is deleted', (id) => run(sql`update conversations set deleted_at = now() where id = ${id}`)],
  ['is blocked', (id) => run(sql`update conversations set is_blocked = true where id = ${id}`)],
  [
    'has agents that answer everything',
    (id) => run(sql`update conversations set type = 'direct', has_agents = true where id = ${id}`),
  ],
]
for (const [name, stand] of obstacles) {
  test(`the short ways leave out a conversation that ${name}, and store what is beside it`, async () => {
    const [id, other] = [await conversation(), await conversation()]
    await stand(id)
    const before = await stored(id)
    assert.deepEqual((await shortly([message(id, ann)])).left, [0])
    const { outcome, left } = await shortly([message(id, ann), message(other, ben), message(id, ann)])
    assert.deepEqual(left, [0, 2])
    assert.deepEqual([outcome.seqs, outcome.changes, outcome.members], [[0, 6, 0], [0, 10, 0], { [other]: '2' }])
    assert.deepEqual(await stored(id), before)
    assert.equal((await stored(other)).messages.length, 1)
  })
}

test('the short ways store nothing under a client id that was used, and the long one tells its first result', async () => {
  const id = await conversation()
  const first = message(id, ann)
  const { seqs, changes } = (await shortly([first])).outcome
  const before = await stored(id)
  const again = { ...first, id: newId() }
  assert.deepEqual((await shortly([again])).left, [0])
  assert.deepEqual((await shortly([message(id, ben), again])).left, [0, 1])
  assert.deepEqual(await stored(id), before)

  const { seqs: mixed, repeated } = await atLength([message(id, ben), again])
  assert.deepEqual(mixed, [(seqs[0] as number) + 1, 0])
  assert.deepEqual(
    repeated.map(({ n, same, id, seq, change }) => ({ n, same, id, seq, change })),
    [{ n: 1, same: true, id: first.id, seq: seqs[0], change: changes[0] }],
  )
})

test('a conversation that goes takes its messages and read receipts along, a user leaves the messages behind', async () => {
  const [gone, kept] = [await conversation(), await conversation()]
  await shortly([message(gone, ben), message(kept, ben), message(kept, ann)])
  await run(sql`delete from conversations where id = ${gone}`)
  const { messages, receipts } = await stored(gone)
  assert.deepEqual([messages, receipts], [[], []])

  await run(sql`delete from users where id = ${ben}`)
  const rest = await stored(kept)
  assert.deepEqual(
    rest.messages.map(({ sender_id }) => sender_id),
    [null, ann],
  )
  assert.deepEqual(
    rest.receipts.map(({ user_id }) => user_id),
    [ann],
  )
})

test('a word that is none of an enumeration is refused', async () => {
  const id = await conversation()
  await shortly([message(id, ann)])
  for (const column of ['role', 'type', 'status']) {
    const change = run(sql`update messages set ${sql.ref(column)} = 'nonsense' where conversation_id = ${id}`)
    await assert.rejects(change, /message_\w+_check/)
  }
})
