import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to a service on this machine that can be cut for those who take it, while others reach the service directly. */
export interface Way {
  url: string
  /** Ends all connections, and refuses new ones. */
  sever(): void
  mend(): void
  /** Keeps back what the service answers; questions still reach it. */
  hold(): void
  /** Whether anything is kept back. */
  isWaited(): boolean
  /** Lets go what was kept back, and keeps nothing from then on. */
  release(): void
  close(): void
}

export async function openWay(url: string): Promise<Way> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let isCut = false
  let isHeld = false
  let held: (() => void)[] = []

  function join(socket: Socket, onward: Socket): void {
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
    socket.pipe(onward)
    onward.on('data', (chunk) => {
      if (isHeld) held.push(() => socket.write(chunk))
      else socket.write(chunk)
    })
  }

  const server = createServer((socket) => {
    if (isCut) socket.destroy()
    else join(socket, connect(Number(target.port), target.hostname))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const own = new URL(url)
  own.port = String(address.port)

  const sever = (): void => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: own.href,
    sever,
    mend() {
      isCut = false
    },
    hold() {
      isHeld = true
    },
    isWaited: () => held.length > 0,
    release() {
      isHeld = false
      for (const write of held) write()
      held = []
    },
    close() {
      sever()
      server.close()
    },
  }
}
