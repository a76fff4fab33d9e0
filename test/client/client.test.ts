import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test'
import {
  type Client,
  type ClientOptions,
  createClient,
  type Message,
  memoryStorage,
  type PendingMessage,
} from '../../src/client/index.ts'
import { emptySync, type FakeServer, heard, session, startFakeServer } from './fake.server.ts'
import { ModelConversation, me, seeded } from './model.ts'

describe('client', () => {
  let server: FakeServer
  let model: ModelConversation
  let clients: Client[]

  beforeEach(async () => {
    server = await startFakeServer()
    model = new ModelConversation('c1', seeded(7))
    model.post(3, 'ann')
    server.on.sync = ({ positions }: { positions: Record<string, number> }) => ({ data: model.sync(positions.c1, 500) })
    clients = []
  })
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await server.close()
  })

  function newClient(options: Partial<ClientOptions> = {}): Client {
    const client = createClient({ url: server.url, socket: { reconnect: { minMs: 5, maxMs: 20 } }, ...options })
    clients.push(client)
    return client
  }

  async function connected(options?: Partial<ClientOptions>): Promise<Client> {
    const client = newClient(options)
    await client.login({ username: me, password: 'secret' })
    await client.connect()
    return client
  }

  const emit = (news: { name: string; payload: unknown }) => server.sockets.at(-1)?.emit(news.name, news.payload)
  const contents = (client: Client) => client.store.get('c1')?.messages.map((row) => row.content)
  const syncs = () => server.commands.filter(({ name }) => name === 'sync').map(({ input }) => input)
  const sends = () => server.commands.filter(({ name }) => name === 'message:send').map(({ input }) => input)
  const changed = (client: Client, isIt: () => boolean) =>
    heard<string>((handler) => client.on('changed', handler), isIt)

  /** Stores what is sent, tells nobody (the sender's own socket is left out), and knows repeats. */
  function acceptSends() {
    const stored = new Map<string, object>()
    server.on['message:send'] = ({ clientId, content }: { clientId: string; content: string }) => {
      const first = stored.get(clientId)
      if (first) return { data: { ...first, duplicate: true } }
      const { messages, prevChange, change } = model.post(1, me).payload
      const row = Object.assign(messages[0] as Message, { content, clientId, mentions: undefined })
      const { id, seq, createdAt } = row
      const sent = { id, seq, prevChange, change, createdAt }
      stored.set(clientId, { ...sent, message: row })
      return { data: sent }
    }
  }

  describe('staying right', () => {
    it('is at the state of the server once connected, after all pages of the sync', async () => {
      const other = new ModelConversation('c2', seeded(1))
      server.on.sync = ({ positions }: { positions: Record<string, number> }) =>
        positions.c1 === undefined
          ? { data: { ...model.sync(undefined, 500), hasMore: true } }
          : {
              data: {
                ...emptySync,
                conversations: [other.conversation()],
                resets: ['c2'],
                positions: { c1: 3, c2: 0 },
              },
            }
      const client = await connected()
      assert.deepEqual(syncs(), [{ positions: {} }, { positions: { c1: 3 } }])
      assert.deepEqual(Object.keys(client.store.positions()), ['c1', 'c2'])
    })

    it('asks after a reconnection for what it missed, naming all it has, since a minute before the last sync', async () => {
      const client = await connected()
      server.on.sync = () => ({ data: { ...emptySync } })
      await client.synced()
      const again = heard((handler) => client.on('connected', handler))
      const first = Date.now()
      server.sockets[0]?.disconnect(true)
      await again
      await client.synced()
      const [, second] = syncs()
      assert.deepEqual(second?.positions, { c1: 3 })
      assert.ok(Math.abs(Date.parse(String(second?.since)) - (first - 60_000)) < 10_000)
    })

    it('waits for overtaken events and applies them in order, without a sync', async () => {
      const client = await connected()
      const [first, second] = [model.post(1, 'bob'), model.post(1, 'bob')]
      emit(second)
      emit(first)
      await changed(client, () => contents(client)?.length === 5)
      await client.synced()
      assert.equal(syncs().length, 1)
    })

    it('syncs once for a gap that stays, and names every conversation so that none is reset', async () => {
      const client = await connected()
      model.post(1, 'bob')
      const started = Date.now()
      emit(model.post(1, 'bob'))
      emit(model.post(1, 'bob'))
      await changed(client, () => contents(client)?.length === 6)
      await client.synced()
      assert.ok(Date.now() - started >= 140, 'it waited for overtaken events first')
      assert.equal(syncs().length, 2)
      assert.deepEqual(syncs()[1]?.positions, { c1: 3 })
    })

    it('syncs when the server says that events may have been missed', async (t: TestContext) => {
      const client = await connected()
      t.mock.method(Math, 'random', () => 0)
      model.post(1, 'bob')
      emit({ name: 'resync', payload: {} })
      await changed(client, () => contents(client)?.length === 4)
    })

    it('tries a sync again that failed while connected', async (t: TestContext) => {
      t.mock.method(Math, 'random', () => 0)
      let failures = 2
      server.on.sync = ({ positions }: { positions: Record<string, number> }) =>
        failures-- > 0
          ? { error: { code: 'unavailable', message: '', retryable: true } }
          : { data: model.sync(positions.c1, 500) }
      const client = await connected()
      assert.equal(contents(client)?.length, 3)
    })

    it('loses no event that comes while a sync runs, not even one that the answer does not know of yet', async () => {
      server.on.sync = (_input, socket) => {
        const data = structuredClone(model.sync(undefined, 500))
        const news = model.post(1, 'bob')
        socket.emit(news.name, news.payload)
        socket.emit('conversation:state', { ...model.conversation(), conversationId: 'c1', settings: settingsMuted })
        return { data }
      }
      const client = await connected()
      assert.equal(contents(client)?.length, 4)
      assert.equal(client.store.get('c1')?.conversation.settings.isMuted, true)
    })

    it('does not bring back a conversation that ended while the answer was on its way', async () => {
      server.on.sync = (_input, socket) => {
        socket.emit('conversation:removed', { conversationId: 'c1' })
        return { data: model.sync(undefined, 500) }
      }
      const client = await connected()
      assert.equal(client.store.get('c1'), undefined)
    })

    it('converges through a channel that loses, repeats and reorders', async () => {
      const client = await connected()
      const random = seeded(3)
      for (let step = 0; step < 60; step++) {
        const news = [model.step(), model.step()].filter(({ name }) => name !== 'conversation:state')
        if (random() < 0.3) news.reverse()
        for (const item of news) if (random() > 0.1) emit(structuredClone(item))
        if (random() < 0.1 && news[0]) emit(structuredClone(news[0]))
      }
      emit(model.post(1, 'bob'))
      emit(model.post(1, 'bob'))
      await changed(client, () => client.store.get('c1')?.change === model.lastChange)
      await client.synced()
      const { messages, from } = client.store.get('c1') ?? { messages: [], from: 1 }
      assert.deepEqual(
        messages.map(({ seq, content }) => [seq, content]),
        model.messages.slice(from - 1).map(({ seq, content }) => [seq, content]),
      )
    })

    it('syncs when its own edit is acknowledged and the event does not come', async () => {
      const client = await connected()
      server.on['message:edit'] = () => {
        model.post(1, 'bob')
        return { data: { prevChange: 3, change: 4, editedAt: '2026-01-01T00:00:00.000Z' } }
      }
      await client.command('message:edit', { conversationId: 'c1', messageId: 'm1', content: 'new' })
      await client.synced()
      assert.equal(contents(client)?.length, 4)
    })

    it('takes a conversation that it creates into the store', async () => {
      const client = await connected()
      const other = new ModelConversation('c2', seeded(1))
      server.on['conversation:create'] = () => ({ data: other.conversation() })
      await client.command('conversation:create', { type: 'group', participantIds: [] })
      assert.equal(client.store.get('c2')?.conversation.title, 'first')
    })

    it('loads history anew where news outdated the page on its way', async () => {
      model.post(100, 'ann')
      const client = await connected()
      let isFirst = true
      server.on['message:history'] = ({ before, limit }: { before: number; limit: number }, socket) => {
        const data = structuredClone(model.history(before, limit))
        if (isFirst) {
          isFirst = false
          const row = { ...(model.messages[9] as Message), content: 'edited', change: ++model.lastChange }
          model.messages[9] = row
          const { lastChange: change } = model
          socket.emit('messages:updated', { conversationId: 'c1', prevChange: change - 1, change, messages: [row] })
        }
        return { data }
      }
      assert.equal(await client.loadHistory('c1', 60), false)
      assert.equal(client.store.get('c1')?.messages[9]?.content, 'edited')
      assert.equal(client.store.get('c1')?.messages.length, 103)
    })

    it('forgets a typing person who went silent', async (t: TestContext) => {
      const client = await connected()
      t.mock.timers.enable({ apis: ['setTimeout'] })
      const heardOf: boolean[] = []
      client.on('typing', ({ isTyping }) => heardOf.push(isTyping))
      const typing = new Promise<void>((resolve) => client.on('typing', () => resolve()))
      emit({ name: 'typing', payload: { conversationId: 'c1', userId: 'ann', isTyping: true } })
      await typing
      t.mock.timers.tick(5999)
      assert.deepEqual(heardOf, [true])
      t.mock.timers.tick(1)
      assert.deepEqual(heardOf, [true, false])
      t.mock.timers.reset()
    })
  })

  describe('outbox', () => {
    it('shows a message as pending at once, and in the store once it is acknowledged', async () => {
      acceptSends()
      const client = await connected()
      const { clientId, acknowledged } = client.send('c1', 'hello')
      assert.deepEqual(
        client.pending('c1').map(({ content }) => content),
        ['hello'],
      )
      const sent = await acknowledged
      assert.equal(sent.seq, 4)
      await client.synced()
      assert.deepEqual(client.pending('c1'), [])
      const row = client.store.get('c1')?.messages.at(-1)
      assert.deepEqual([row?.clientId, row?.content, row?.senderId, row?.seq], [clientId, 'hello', me, 4])
    })

    it('keeps the order of a conversation with many in flight, and no more than allowed', async () => {
      acceptSends()
      const accept = server.on['message:send']
      let inFlight = 0
      let most = 0
      server.on['message:send'] = async (input, socket) => {
        most = Math.max(most, ++inFlight)
        const answer = await accept?.(input, socket)
        await new Promise((resolve) => setImmediate(resolve))
        inFlight--
        return answer ?? 'silence'
      }
      const client = await connected({ maxInFlight: 5 })
      const texts = Array.from({ length: 60 }, (_, i) => `text ${i}`)
      for (const text of texts) client.send('c1', text)
      await client.synced()
      assert.deepEqual(contents(client)?.slice(3), texts)
      assert.ok(most > 1 && most <= 5, `${most} in flight`)
    })

    it('sends again under the same client ids, in order, when the connection was lost before the acknowledgments', async () => {
      acceptSends()
      const accept = server.on['message:send']
      let seen = 0
      server.on['message:send'] = async (input, socket) => {
        const answer = await accept?.(input, socket)
        if (++seen === 8) socket.conn.close()
        return seen > 4 && seen <= 8 ? 'silence' : (answer ?? 'silence')
      }
      const client = await connected()
      const texts = Array.from({ length: 30 }, (_, i) => `text ${i}`)
      const all = await Promise.all(texts.map((text) => client.send('c1', text).acknowledged))
      await client.synced()
      assert.deepEqual(contents(client)?.slice(3), texts)
      assert.deepEqual(
        all.map(({ seq }) => seq),
        texts.map((_, i) => i + 4),
      )
      assert.ok(all.some(({ duplicate }) => duplicate))
      assert.deepEqual(client.pending('c1'), [])
    })

    it('waits as long as the server says before it sends again, and lets nothing overtake meanwhile', async () => {
      acceptSends()
      const accept = server.on['message:send']
      const times: number[] = []
      server.on['message:send'] = (input, socket) => {
        times.push(Date.now())
        const error = { code: 'rate_limited', message: '', retryable: true, details: { retryAfterSeconds: 0.6 } }
        return times.length === 1 ? { error } : (accept?.(input, socket) ?? 'silence')
      }
      const client = await connected({ maxInFlight: 1 })
      for (const text of ['a', 'b', 'c']) client.send('c1', text)
      await client.synced()
      const texts = sends().map(({ content }) => content)
      assert.deepEqual(texts, ['a', 'a', 'b', 'c'])
      assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 590)
    })

    it('marks a message failed that the server refuses for good, goes on with the rest, and sends it again on demand', async () => {
      acceptSends()
      const accept = server.on['message:send']
      let isRefusing = true
      server.on['message:send'] = (input: { content: string }, socket) =>
        isRefusing && input.content === 'bad'
          ? { error: { code: 'forbidden', message: 'No.', retryable: false } }
          : (accept?.(input as never, socket) ?? 'silence')
      const client = await connected()
      const failed = heard<PendingMessage>((handler) => client.on('sendFailed', handler))
      const bad = client.send('c1', 'bad')
      const good = client.send('c1', 'good')
      await assert.rejects(bad.acknowledged, { code: 'forbidden' })
      assert.deepEqual((await failed).failure, { code: 'forbidden', message: 'No.' })
      await good.acknowledged
      assert.deepEqual(
        client.pending('c1').map(({ content }) => content),
        ['bad'],
      )
      isRefusing = false
      client.retry(bad.clientId)
      await client.synced()
      assert.deepEqual(contents(client)?.slice(3), ['good', 'bad'])
      assert.deepEqual(client.pending('c1'), [])
    })

    it('resumes with the same storage after a restart', async () => {
      server.on['message:send'] = () => 'silence'
      const storage = memoryStorage()
      const first = await connected({ storage })
      const { clientId, acknowledged } = first.send('c1', 'one')
      first.send('c1', 'two')
      await first.close()
      await assert.rejects(acknowledged, { code: 'unavailable' })
      acceptSends()
      const second = newClient({ storage })
      await second.connect()
      await second.synced()
      assert.deepEqual(contents(second)?.slice(3), ['one', 'two'])
      assert.equal(second.store.get('c1')?.messages[3]?.clientId, clientId)
      const third = newClient({ storage })
      await second.close()
      await third.connect()
      assert.deepEqual(third.pending('c1'), [])
    })

    it('never sends the messages of one user as another', async () => {
      const arrived = new Promise<void>((resolve) => {
        server.on['message:send'] = () => {
          resolve()
          return 'silence'
        }
      })
      const storage = memoryStorage()
      const first = await connected({ storage })
      first.send('c1', 'mine')
      await arrived
      await first.close()
      server.rest['POST /v1/auth/login'] = () => [200, { ...session('token 9'), user: { id: 'eve' } }]
      const before = sends().length
      const second = await connected({ storage })
      await second.synced()
      assert.deepEqual(second.pending('c1'), [])
      assert.equal(sends().length, before)
    })

    it('refuses to send for nobody', () => {
      assert.throws(() => newClient().send('c1', 'hello'), { code: 'unauthenticated' })
    })
  })

  describe('login', () => {
    it('gives the socket a newer token before the old one expires', async () => {
      server.rest['POST /v1/auth/login'] = () => [200, session('token 1', 1)]
      server.rest['POST /v1/auth/refresh'] = () => [200, session('token 2')]
      const refreshed = new Promise((resolve) => {
        server.on['session:refresh'] = (input) => {
          resolve(input)
          return { data: { expiresAt: '' } }
        }
      })
      await connected()
      assert.deepEqual(await refreshed, { token: 'token 2' })
    })

    it('signs out when the server ends the session', async () => {
      const storage = memoryStorage()
      const client = await connected({ storage })
      const signedOut = heard((handler) => client.on('signedOut', handler))
      const waiting = client.send('c1', 'kept').acknowledged
      server.refusal = () => ({ code: 'unauthenticated', message: 'Revoked.' })
      server.sockets[0]?.disconnect(true)
      assert.deepEqual(await signedOut, { code: 'unauthenticated', message: 'Revoked.' })
      await assert.rejects(waiting)
      await assert.rejects(client.connect(), { code: 'unauthenticated' })
      server.refusal = () => undefined
      acceptSends()
      await client.login({ username: me, password: 'secret' })
      await client.connect()
      await client.synced()
      assert.deepEqual(contents(client)?.slice(3), ['kept'])
    })

    it('tells whoever waits for the connection why there will be none', async () => {
      server.refusal = () => ({ code: 'banned', message: 'Banned.' })
      await assert.rejects(connected(), { code: 'banned', message: 'Banned.' })
    })

    it('forgets the outbox at logout', async () => {
      server.on['message:send'] = () => 'silence'
      server.rest['POST /v1/auth/logout'] = () => [204, undefined]
      const storage = memoryStorage()
      const client = await connected({ storage })
      client.send('c1', 'gone')
      await client.logout()
      acceptSends()
      await client.login({ username: me, password: 'secret' })
      await client.connect()
      await client.synced()
      assert.deepEqual(contents(client)?.length, 3)
    })
  })
})

const settingsMuted = { isPinned: false, isMuted: true, isArchived: false }
