import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { io, type Socket } from 'socket.io-client'
import type { Agent, AgentKey } from '../../src/agents/agents.contract.ts'
import type { Ack, Heard, Person } from './people.ts'

const limitMs = 10_000

export type NewKey = AgentKey & { key: string }

interface Answer<T> {
  status: number
  body: T & { code?: string; detail?: string }
}

/** Asks a REST route, as somebody with an access token or key. */
export async function ask<T = Record<string, unknown>>(
  url: string,
  bearer: string | undefined,
  method: string,
  path: string,
  body?: object,
): Promise<Answer<T>> {
  const response = await fetch(`${url}/v1${path}`, {
    method,
    headers: {
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: (text ? JSON.parse(text) : {}) as Answer<T>['body'] }
}

type Owner = Pick<Person, 'session'>

/** An agent of that owner; external and private unless otherwise said. */
export async function makeAgent(url: string, owner: Owner, input: object = {}): Promise<Agent> {
  const username = `agent_${randomBytes(5).toString('hex')}`
  const wish = { kind: 'external', username, ...input }
  const { status, body } = await ask<Agent>(url, owner.session.accessToken, 'POST', '/agents', wish)
  assert.equal(status, 201, JSON.stringify(body))
  return body
}

export async function makeKey(url: string, owner: Owner, agentId: string, input: object = {}): Promise<NewKey> {
  const { status, body } = await ask<NewKey>(url, owner.session.accessToken, 'POST', `/agents/${agentId}/keys`, input)
  assert.equal(status, 201, JSON.stringify(body))
  return body
}

/** The socket of an external agent. */
export interface AgentSocket {
  socket: Socket
  /** What the server said of it. */
  ready: { userId: string; sessionId: string }
  heard: Heard[]
  /** Settles when the server has closed the socket; fails after the limit. */
  closed(withinMs?: number): Promise<void>
  ask(name: string, input?: unknown): Promise<Ack>
  close(): void
}

/** Connects by a key; rejects with what the server says where it does not let it in. */
export async function connectAgent(url: string, agentKey: string): Promise<AgentSocket> {
  const socket = io(url, { transports: ['websocket'], auth: { agentKey }, forceNew: true, reconnection: false })
  const heard: Heard[] = []
  socket.onAny((event: string, payload: Heard['payload']) => void heard.push({ event, payload }))
  const end = Promise.withResolvers<void>()
  socket.once('disconnect', () => end.resolve())
  const ready = await new Promise<AgentSocket['ready']>((resolve, reject) => {
    socket.once('session:ready', resolve)
    socket.once('connect_error', reject)
  })
  return {
    socket,
    ready,
    heard,
    async closed(withinMs = limitMs) {
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => late.reject(new Error(`not closed within ${withinMs} ms`)), withinMs)
      await Promise.race([end.promise, late.promise]).finally(() => clearTimeout(timer))
    },
    ask: (name, input = {}) => socket.timeout(limitMs).emitWithAck(name, input),
    close: () => void socket.disconnect(),
  }
}
