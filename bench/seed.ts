import { randomBytes } from 'node:crypto'
import jwt from 'jsonwebtoken'
import type { Connection } from './storage.ts'
import type { Person, Room, World } from './world.ts'

/** Longer than any run of the bench. */
const lifeSeconds = 24 * 3600
const rowsPerStatement = 20_000

/**
 * Writes a world into Kintsugi's tables and gives its people their access tokens. Straight into the tables, since
 * registering costs a password hash each, and conversations of a million messages would take as long as sending them.
 */
export async function seed(database: Connection, world: World, jwtSecret: string): Promise<void> {
  for (const people of inChunks(world.people)) await seedPeople(database, people)
  for (const rooms of inChunks(world.rooms)) await seedConversations(database, rooms, world)
  const memberships = world.rooms.flatMap((room) => room.members.map((member, place) => ({ room, member, place })))
  for (const chunk of inChunks(memberships)) await seedParticipants(database, chunk, world)
  for (const room of inChunks(world.rooms.filter(({ length }) => length > 0))) await seedMessages(database, room, world)
  await database.query('vacuum analyze')
  for (const person of world.people) person.token = accessToken(person, jwtSecret)
}

async function seedPeople(database: Connection, people: Person[]): Promise<void> {
  await database.query(
    `insert into users (id, username, display_name)
     select id, 'bench-' || right(id::text, 12), 'Bench ' || right(id::text, 12) from unnest($1::uuid[]) id`,
    [people.map(({ id }) => id)],
  )
  await database.query('insert into wallets (user_id) select unnest($1::uuid[])', [people.map(({ id }) => id)])
  await database.query(
    `insert into refresh_tokens (token_hash, family_id, user_id, logged_in_at, expires_at)
     select decode(hash, 'hex'), family, holder, now(), now() + make_interval(secs => $4::int)
     from unnest($1::text[], $2::uuid[], $3::uuid[]) as login (hash, family, holder)`,
    [
      people.map(() => randomBytes(32).toString('hex')),
      people.map(({ sessionId }) => sessionId),
      people.map(({ id }) => id),
      lifeSeconds,
    ],
  )
}

/** Two people make a direct conversation, more a group. */
async function seedConversations(database: Connection, rooms: Room[], { people }: World): Promise<void> {
  const ids = (room: Room) => room.members.map((member) => people[member]?.id ?? '')
  await database.query(
    `insert into conversations (id, type, title, created_by, direct_key, last_seq, last_change, last_message_at)
     select id, case when pair is null then 'group' else 'direct' end, case when pair is null then 'Bench' end,
       creator, pair, length, length, case when length > 0 then now() - make_interval(secs => place::int) end
     from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[])
       with ordinality as room (id, creator, pair, length, place)`,
    [
      rooms.map(({ id }) => id),
      rooms.map((room) => ids(room)[0]),
      rooms.map((room) => (room.members.length === 2 ? ids(room).sort().join(':') : null)),
      rooms.map(({ length }) => length),
    ],
  )
}

type Membership = { room: Room; member: number; place: number }

async function seedParticipants(database: Connection, memberships: Membership[], { people }: World): Promise<void> {
  await database.query(
    `insert into participants (conversation_id, user_id, role, last_read_seq, last_delivered_seq, change)
     select room, member, role, length, length, 0
     from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[]) as membership (room, member, role, length)`,
    [
      memberships.map(({ room }) => room.id),
      memberships.map(({ member }) => people[member]?.id),
      memberships.map(({ room, place }) => (place === 0 && room.members.length > 2 ? 'owner' : 'member')),
      memberships.map(({ room }) => room.length),
    ],
  )
}

/** Ids rise with seq, as those of UUIDv7 do: milliseconds first, then digits of a hash in place of chance. */
async function seedMessages(database: Connection, rooms: Room[], { people }: World): Promise<void> {
  await database.query(
    `insert into messages
       (conversation_id, id, seq, change, created_change, sender_id, content, client_id, created_at)
     select room.id,
       (lpad(to_hex(1700000000000 + seq), 12, '0') || '7' || left(hash, 3) || '8' || right(hash, 15))::uuid,
       seq, seq, seq, case when seq % 2 = 0 then room.even else room.odd end,
       rpad('message ' || seq || ' of ' || hash, 100, ' and so on'), 'seed-' || seq,
       now() - make_interval(secs => room.length - seq)
     from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[]) as room (id, even, odd, length)
       cross join generate_series(1, room.length) seq
       cross join lateral md5(room.id::text || seq) hash`,
    [
      rooms.map(({ id }) => id),
      rooms.map(({ members }) => people[members[0] ?? -1]?.id),
      rooms.map(({ members }) => people[members[1] ?? -1]?.id),
      rooms.map(({ length }) => length),
    ],
  )
}

function accessToken({ id, sessionId }: Person, secret: string): string {
  return jwt.sign({ sid: sessionId, role: 'user' }, secret, { subject: id, issuer: 'kintsugi', expiresIn: lifeSeconds })
}

function* inChunks<T>(rows: T[]): Generator<T[]> {
  for (let first = 0; first < rows.length; first += rowsPerStatement) yield rows.slice(first, first + rowsPerStatement)
}
