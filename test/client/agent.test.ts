import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, it, type TestContext } from 'node:test'
import {
  type Agent,
  type AgentOptions,
  type Client,
  createAgent,
  createClient,
  type Message,
  memoryStorage,
} from '../../src/client/index.ts'
import { makeAgent, makeKey } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { register } from '../support/people.ts'
import { heard } from './fake.server.ts'

describe('an external agent', () => {
  let server: Backend
  let owner: { session: Awaited<ReturnType<typeof register>> }
  const clients: Client[] = []

  before(async () => {
    server = await startBackend()
    owner = { session: await register(server.url, 'owner') }
  })
  after(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await server?.end()
  })

  async function person(name: string): Promise<Client & { userId: string }> {
    const { user } = await register(server.url, name)
    const client = createClient({ url: server.url, socket: { reconnect: { minMs: 20, maxMs: 100 } } })
    clients.push(client)
    await client.login({ username: user.username, password: 'correct horse' })
    await client.connect()
    return Object.assign(client, { userId: user.id })
  }

  async function newAgent(): Promise<{ id: string; username: string; key: string }> {
    const { id, username } = await makeAgent(server.url, owner, { isPublic: true })
    const { key } = await makeKey(server.url, owner, id)
    return { id, username, key }
  }

  async function answering(t: TestContext, key: string, options: Partial<AgentOptions>): Promise<Agent> {
    const socket = { reconnect: { minMs: 20, maxMs: 100 } }
    const agent = createAgent({ url: server.url, key, socket, onMessage: () => {}, ...options })
    t.after(() => agent.close())
    await agent.ready
    return agent
  }

  const direct = async (client: Client, other: string): Promise<string> =>
    (await client.command('conversation:create', { type: 'direct', participantIds: [other] })).id

  /** The newest message of somebody else in the client's copy, once it is as asked for. */
  async function sees(client: Client, conversationId: string, isIt: (message: Message) => boolean): Promise<Message> {
    const row = () => client.store.get(conversationId)?.messages.findLast(isIt)
    if (!row())
      await heard<string>(
        (handler) => client.on('changed', handler),
        () => row() !== undefined,
      )
    return row() as Message
  }

  it('of 20 lines says the words back to two people at once, and stops when told to', async (t: TestContext) => {
    const { id, key } = await newAgent()
    const example: ChildProcess = spawn(process.execPath, ['examples/echo-agent.ts', server.url, key], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => example.kill('SIGKILL'))
    await once(example.stdout ?? assert.fail(), 'data')

    const [ann, ben] = [await person('ann'), await person('ben')]
    const [withAnn, withBen] = [await direct(ann, id), await direct(ben, id)]
    const words = 'one two three four five'
    await Promise.all([ann.send(withAnn, words).acknowledged, ben.send(withBen, `${words} six`).acknowledged])
    const grown = ({ status, content }: Message) => status === 'streaming' && content !== ''
    const [first] = await Promise.all([sees(ann, withAnn, grown), sees(ben, withBen, grown)])
    assert.ok(words.startsWith(first.content))
    const ended = ({ status, senderId }: Message) => senderId === id && status !== 'streaming'
    const [toAnn, toBen] = await Promise.all([sees(ann, withAnn, ended), sees(ben, withBen, ended)])
    assert.deepEqual([toAnn.content, toBen.content], [words, `${words} six`])
    assert.equal(ann.store.get(withBen), undefined)

    const long = Array.from({ length: 200 }, (_, i) => `word${i}`).join(' ')
    await ann.send(withAnn, long).acknowledged
    const { id: messageId } = await sees(ann, withAnn, grown)
    await ann.command('run:stop', { conversationId: withAnn, messageId })
    const cancelled = await sees(ann, withAnn, (row) => row.id === messageId && row.status === 'cancelled')
    assert.ok(cancelled.content.length < long.length && long.startsWith(cancelled.content))
    await ann.send(withAnn, 'again').acknowledged
    await sees(ann, withAnn, ({ senderId, content }) => senderId === id && content === 'again')
  })

  it('hears in a group only what mentions it or replies to it, and its answer is a reply', async (t: TestContext) => {
    const { id, username, key } = await newAgent()
    const asked: string[] = []
    await answering(t, key, {
      async onMessage({ content }, reply) {
        asked.push(content)
        await reply.send(`heard: ${content}`)
      },
    })
    const cleo = await person('cleo')
    const group = await cleo.command('conversation:create', { type: 'group', title: 'g', participantIds: [id] })
    await cleo.send(group.id, 'not for you').acknowledged
    await cleo.send(group.id, `@${username} first`).acknowledged
    const answer = await sees(cleo, group.id, ({ senderId }) => senderId === id)
    assert.match(answer.replyTo?.excerpt ?? '', /first$/)
    await cleo.send(group.id, 'second', { replyToId: answer.id }).acknowledged
    await sees(cleo, group.id, ({ content }) => content === 'heard: second')
    assert.deepEqual(asked, [`@${username} first`, 'second'])
  })

  it('reads what is attached to a message, and answers with a file of its own', async (t: TestContext) => {
    const { id, key } = await newAgent()
    const agent = await answering(t, key, {
      async onMessage({ attachments = [] }, reply) {
        const [url] = await Promise.all(attachments.map((one) => agent.mediaUrl(one.url)))
        const text = await (await fetch(String(url))).text()
        const file = new File([text.toUpperCase()], 'louder.txt')
        await reply.send('louder', [await agent.upload(file, { onProgress: () => {} })])
      },
    })
    const eve = await person('eve')
    const conversationId = await direct(eve, id)
    const attachment = await eve.upload(new File(['quiet words'], 'words.txt'))
    await eve.send(conversationId, '', { attachments: [attachment] }).acknowledged
    const { attachments, type } = await sees(eve, conversationId, ({ senderId }) => senderId === id)
    assert.deepEqual([type, attachments?.map(({ name }) => name)], ['file', ['louder.txt']])
    const url = await eve.mediaUrl(attachments?.[0]?.url ?? '')
    assert.equal(await (await fetch(url)).text(), 'QUIET WORDS')
  })

  it('answers each message once that came while it was away, and goes on with the one it was in', async (t: TestContext) => {
    const { id, key } = await newAgent()
    const storage = memoryStorage()
    const asked: string[] = []
    const dan = await person('dan')
    const conversationId = await direct(dan, id)
    await dan.send(conversationId, 'before it began').acknowledged
    const stuck = Promise.withResolvers<void>()
    const first = await answering(t, key, {
      storage,
      async onMessage({ content }, reply) {
        asked.push(content)
        if (content === 'one') return reply.send('done')
        await reply.stream().write('the beginning ')
        await stuck.promise
      },
    })
    dan.send(conversationId, 'one')
    dan.send(conversationId, 'two')
    const begun = await sees(dan, conversationId, ({ content }) => content === 'the beginning ')
    await first.close()
    stuck.resolve()
    dan.send(conversationId, 'three')
    await dan.synced()
    await answering(t, key, {
      storage,
      async onMessage({ content }, reply) {
        asked.push(content)
        const stream = reply.stream()
        await stream.write('the beginning ')
        await stream.write(`and the end of ${content}`)
        await stream.finish({ inputTokens: 1, outputTokens: 2 })
      },
    })
    await sees(dan, conversationId, ({ content }) => content === 'the beginning and the end of three')
    const row = dan.store.get(conversationId)?.messages.find((message) => message.id === begun.id)
    assert.equal(row?.content, 'the beginning and the end of two')
    assert.deepEqual(asked, ['one', 'two', 'two', 'three'])
  })

  it('ends its message as failed when it throws, says so to its owner, and goes on', async (t: TestContext) => {
    const { id, key } = await newAgent()
    const errors: unknown[] = []
    await answering(t, key, {
      async onMessage({ content }, reply) {
        const stream = reply.stream()
        await stream.write('so far 😀'.slice(0, -1))
        if (content === 'bad') throw new Error('out of paper')
        await stream.write('\ude00')
      },
      onError: (error) => errors.push((error as Error).message),
    })
    const eve = await person('eve')
    const conversationId = await direct(eve, id)
    await eve.send(conversationId, 'bad').acknowledged
    const failed = await sees(eve, conversationId, ({ status }) => status === 'failed')
    assert.deepEqual([failed.error, failed.content], ['agent_failed', 'so far \ufffd'])
    assert.deepEqual(errors, ['out of paper'])
    await eve.send(conversationId, 'good').acknowledged
    await sees(eve, conversationId, ({ status, content }) => status === 'sent' && content === 'so far 😀')
  })

  it('stops talking with another agent after three turns without a person', async (t: TestContext) => {
    const [one, two] = [await newAgent(), await newAgent()]
    let turns = 0
    for (const [agent, other] of [
      [one, two],
      [two, one],
    ] as const) {
      await answering(t, agent.key, { onMessage: (_, reply) => reply.send(`@${other.username} turn ${++turns}`) })
    }
    const fay = await person('fay')
    const input = { type: 'group' as const, title: 'g', participantIds: [one.id, two.id] }
    const { id } = await fay.command('conversation:create', input)
    await fay.send(id, `@${one.username} go`).acknowledged
    await sees(fay, id, ({ content }) => content.endsWith('turn 3'))
    await fay.send(id, `@${two.username} and you`).acknowledged
    await sees(fay, id, ({ content }) => content.endsWith('turn 6'))
    assert.equal(turns, 6)
  })

  it('is told that its key is not good', async () => {
    const errors: unknown[] = []
    const onError = (error: unknown) => errors.push((error as { code: string }).code)
    const agent = createAgent({ url: server.url, key: `kag_${'x'.repeat(43)}`, onMessage: () => {}, onError })
    await assert.rejects(agent.ready, { code: 'unauthenticated' })
    assert.deepEqual(errors, ['unauthenticated'])
    await agent.close()
  })
})
