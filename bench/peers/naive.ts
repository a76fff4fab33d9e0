/**
 * What a user would write instead: the bare server with one insert per message, awaited before the message is passed on
 * and acknowledged. On PostgreSQL through a pool with a prepared statement; without DATABASE_URL on PGlite in DATA_DIR.
 */
import { createServer } from 'node:http'
import { PGlite } from '@electric-sql/pglite'
import { Pool } from 'pg'
import { Server } from 'socket.io'

const schema = `
  create table if not exists naive_messages (
    id bigint generated always as identity primary key,
    room uuid not null,
    sender uuid not null,
    content text not null,
    created_at timestamptz not null default now()
  );
  create index if not exists naive_messages_room on naive_messages (room, id)`
const statement = 'insert into naive_messages (room, sender, content) values ($1, $2, $3)'

const insert = process.env.DATABASE_URL ? await insertInto(process.env.DATABASE_URL) : await insertEmbedded()
const http = createServer((_request, response) => response.end())
const io = new Server(http, { transports: ['websocket'], serveClient: false, perMessageDeflate: false })

io.on('connection', (socket) => {
  socket.on('join', (room, ack) => {
    socket.join(room)
    ack({ ok: true })
  })
  socket.on('send', async (message, ack) => {
    await insert([message.room, message.sender, message.content])
    socket.to(message.room).emit('message', message)
    ack({ ok: true })
  })
})

http.listen(Number(process.env.PORT), '127.0.0.1')

async function insertInto(connectionString: string) {
  // more connections than the standard 10: with 100 senders at once this was the fastest of 5, 10, 20 and 40
  const pool = new Pool({ connectionString, max: 40 })
  await pool.query(schema)
  process.on('SIGTERM', () => pool.end().then(() => process.exit(0)))
  return (values: unknown[]) => pool.query({ name: 'insert', text: statement, values })
}

async function insertEmbedded() {
  const database = await PGlite.create(process.env.DATA_DIR ?? 'memory://')
  await database.exec(schema)
  process.on('SIGTERM', () => database.close().then(() => process.exit(0)))
  return (values: unknown[]) => database.query(statement, values)
}
