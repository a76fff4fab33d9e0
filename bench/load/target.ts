import { randomUUID } from 'node:crypto'
import { io, type Socket } from 'socket.io-client'
import * as parser from 'socket.io-parser'
import type { TargetName } from '../jobs.ts'
import type { Person } from '../world.ts'
import { SharedDecoder } from './decoder.ts'

/** A connected person. */
export type Seat = {
  /** Sends a text; `done` is called when the server has acknowledged it, with the refusal if it refused. */
  send(room: string, text: string, done: (refusal?: string) => void): void
  /** Calls back with the number of messages of others that came, once per event. */
  onMessages(listener: (count: number) => void): void
  close(): void
}

/**
 * A server under test as the load sees it. All are reached by plain Socket.IO clients, set alike: what differs is what
 * they are told. The project's own client is for where Kintsugi is measured alone.
 */
export type Target = {
  /** Connects a person; resolves when they hear the conversations given. */
  open(url: string, person: Person, rooms: string[]): Promise<Seat>
}

type Acknowledgment = { ok: true } | { ok: false; error: { code: string; message: string } }

const peer: Target = {
  async open(url, person, rooms) {
    const socket = await connect(url, {}, 'connect')
    for (const room of rooms) await socket.emitWithAck('join', room)
    return {
      close: () => void socket.disconnect(),
      send: (room, text, done) => {
        socket.emit('send', { room, sender: person.id, content: text }, (answer: Acknowledgment) =>
          done(refusal(answer)),
        )
      },
      // the server leaves the sender out: every message is another's
      onMessages: (listener) => void socket.on('message', () => listener(1)),
    }
  },
}

const kintsugi: Target = {
  async open(url, person) {
    const socket = await connect(url, { token: person.token }, 'session:ready')
    return {
      close: () => void socket.disconnect(),
      send: (room, text, done) => {
        const input = { conversationId: room, clientId: randomUUID(), content: text }
        socket.emit('message:send', input, (answer: Acknowledgment) => done(refusal(answer)))
      },
      onMessages: (listener) => {
        socket.on('messages:created', ({ messages }: { messages: { senderId: string }[] }) => {
          let others = 0
          for (const message of messages) if (message.senderId !== person.id) others++
          listener(others)
        })
      },
    }
  },
}

export const targets: Record<TargetName, Target> = { bare: peer, naive: peer, kintsugi }

/** Opens a socket and waits for the event that says that the server is ready for it. */
function connect(url: string, auth: Record<string, string>, ready: string): Promise<Socket> {
  const socket = io(url, {
    auth,
    transports: ['websocket'],
    // a socket that is lost stays lost and fails the work: with a second try nobody would see it
    reconnection: false,
    forceNew: true,
    perMessageDeflate: false as never,
    timeout: 120_000,
    parser: { ...parser, Decoder: SharedDecoder },
  } as Parameters<typeof io>[1])
  return new Promise((resolve, reject) => {
    socket.once(ready, () => resolve(socket))
    socket.once('connect_error', (error) => reject(new Error(`could not connect: ${error.message}`)))
    socket.once('disconnect', (reason) => {
      if (reason === 'io client disconnect') return
      reject(new Error(`disconnected before ${ready}: ${reason}`))
      // nobody waits for the socket any more, but what it was there for will not happen: ends the load
      throw new Error(`a socket was lost: ${reason}`)
    })
  })
}

function refusal(answer: Acknowledgment): string | undefined {
  return answer.ok ? undefined : `${answer.error.code} ${answer.error.message}`
}
