import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { Agent } from '../../src/agents/agents.contract.ts'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import { closing, part, startScene } from '../faults/scene.ts'
import { connect, hearsMessage, type Person, send } from '../messenger/scene.ts'
import { type AgentSocket, ask, connectAgent, makeAgent, makeKey } from '../support/agents.ts'
import { startModelServer } from '../support/model-server.ts'
import type { OwnDatabase, OwnService } from '../support/services.ts'
import { modelEnv } from './scene.ts'

type Wallet = { credits: number; held: number; tokens: { used: number } }

/** Nodes that are each other's only peers, and a model server that they ask; all of it ends with the test. */
export async function startWriters(
  t: Pick<TestContext, 'after'>,
  count: number,
  options: { redis?: OwnService; database?: OwnDatabase } = {},
) {
  const models = await closing(t, startModelServer())
  const prefix = { REDIS_PREFIX: `kintsugi_test_${randomBytes(6).toString('hex')}` }
  const scene = await startScene(t, count, { ...options, ...prefix, ...modelEnv(models.url) })
  return { ...scene, models }
}

/** Pieces of a text, each like no other, some with characters of two UTF-16 units. */
export const pieces = (count: number, name = 'piece'): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${i}${i % 7 === 3 ? ' 🌊' : ''} · `)

/** An AI chat with a model. */
export const openChat = async (person: Person, model: string): Promise<string> =>
  (await person.do('conversation:create', { type: 'assistant', models: [model] })).id

/** A person asks in an AI chat; the answer that began, as they heard it. */
export async function askModel(person: Person, conversationId: string, question = 'Tell me.'): Promise<Message> {
  const { seq } = await send(person, conversationId, question)
  return answerAfter(person, conversationId, seq)
}

/** The first answer that begins in a conversation after that message. */
export async function answerAfter(person: Person, conversationId: string, seq: number): Promise<Message> {
  const isIt = (message: Message) =>
    message.conversationId === conversationId && message.role === 'assistant' && message.seq > seq
  const heard = await person.hears('messages:created', (payload) => part<Message[]>(payload, 'messages').some(isIt))
  return part<Message[]>(heard, 'messages').find(isIt) as Message
}

/** A message as it ends. */
export const hearsEnd = (person: Person, { id }: Pick<Message, 'id'>): Promise<Message> =>
  hearsMessage(person, id, 'messages:updated')

interface Delta {
  messageId: string
  offset: number
  text: string
}

/** What a socket heard of growing texts. */
export const deltasOf = (person: Pick<Person, 'heard'>, messageId: string): Delta[] =>
  person.heard
    .filter(({ event, payload }) => event === 'stream:delta' && payload.messageId === messageId)
    .map(({ payload }) => payload as unknown as Delta)

/** The text that a socket has heard, as far as it has no gap. Fails where a repetition says something else. */
export function heardText(person: Pick<Person, 'heard'>, messageId: string): string {
  let text = ''
  for (const { offset, text: more } of deltasOf(person, messageId).toSorted((a, b) => a.offset - b.offset)) {
    if (offset > text.length) break
    const known = text.slice(offset, offset + more.length)
    assert.equal(more.slice(0, known.length), known, 'a repetition brings another text')
    text += more.slice(known.length)
  }
  return text
}

/** Settles when a socket has heard that much of a growing text. */
export const hearsUpTo = (person: Person, messageId: string, length: number): Promise<unknown> =>
  person.hears('stream:delta', (payload) => {
    const { messageId: id, offset, text } = payload as unknown as Delta
    return id === messageId && offset + text.length >= length
  })

/** What a person has used for answers, and what is set aside for those on their way. */
export async function standingOf(url: string, person: Person) {
  const { status, body } = await ask<Wallet>(url, person.session.accessToken, 'GET', '/me/wallet')
  assert.equal(status, 200, JSON.stringify(body))
  return { used: body.tokens.used, credits: body.credits, held: body.held }
}

/** An external agent of that owner in a new group with these people, with its key. */
export async function openStage(
  url: string,
  owner: Person,
  ...others: Person[]
): Promise<{ agent: Agent; key: string; conversationId: string }> {
  const agent = await makeAgent(url, owner)
  const { key } = await makeKey(url, owner, agent.id)
  const participantIds = [agent.id, ...others.map(({ id }) => id)]
  const { id } = await owner.do('conversation:create', { type: 'group', title: 'a stage', participantIds })
  await Promise.all(others.map((person) => person.hears('conversation:created', (payload) => payload.id === id)))
  return { agent, key, conversationId: id }
}

/** An external agent's socket, and what it does with one. */
export interface Writer extends AgentSocket {
  /** A command that must succeed. */
  do<T = Record<string, number>>(name: string, input: object): Promise<T>
  /** A command that must be refused. */
  refused(name: string, input: object): Promise<{ code: string; details?: Record<string, unknown> }>
  /** Begins a message; gives its id. */
  begin(conversationId: string, more?: object): Promise<string>
}

export async function connectWriter(url: string, key: string): Promise<Writer> {
  const socket = await connectAgent(url, key)
  const writer: Writer = {
    ...socket,
    async do<T>(name: string, input: object) {
      const ack = await socket.ask(name, input)
      assert.ok(ack.ok, `${name}: ${JSON.stringify(ack)}`)
      return ack.data as T
    },
    async refused(name, input) {
      const ack = await socket.ask(name, input)
      assert.ok(!ack.ok, `${name} was not refused: ${JSON.stringify(ack)}`)
      return ack.error as { code: string; details?: Record<string, unknown> }
    },
    begin: async (conversationId, more = {}) =>
      (await writer.do<{ id: string }>('stream:start', { conversationId, clientId: randomUUID(), ...more })).id,
  }
  return writer
}

/** The same person at another node. */
export const further = (url: string, person: Person): Promise<Person> => connect(url, person.session)
