import * as parser from 'socket.io-parser'

interface Packet {
  type: number
  nsp: string
  data?: unknown
  id?: number
}

/**
 * The standard encoding of Socket.IO for packets without binary data, of which this server sends none: clients see no
 * difference. What is left out is the search of every payload for binary parts.
 */
class TextEncoder {
  encode({ type, nsp, id, data }: Packet): string[] {
    const head = `${type}${nsp === '/' ? '' : `${nsp},`}${id ?? ''}`
    return [data === undefined ? head : head + JSON.stringify(data)]
  }
}

/** For the `parser` option of the Socket.IO server. */
export const textParser = { ...parser, Encoder: TextEncoder }

/** A conversation's event as it travels between nodes: encoded once, and as it is to every socket of every node. */
export interface EncodedEvent {
  conversationId: string
  membersChange: number
  /** The packet of Socket.IO. */
  text: string
}

/**
 * Events as one text: a line of JSON that says whose they are and how long, then their packets. These are neither escaped
 * nor parsed on the way, since to a node they are nothing but text.
 */
export const packed = (events: EncodedEvent[]): string =>
  `${JSON.stringify(events.map(({ conversationId, membersChange, text }) => [conversationId, membersChange, text.length]))}\n${events.map(({ text }) => text).join('')}`

export function unpacked(pack: string): EncodedEvent[] {
  let end = pack.indexOf('\n') + 1
  const heads = JSON.parse(pack.slice(0, end)) as [conversationId: string, membersChange: number, length: number][]
  return heads.map(([conversationId, membersChange, length]) => {
    const start = end
    end += length
    return { conversationId, membersChange, text: pack.slice(start, end) }
  })
}

/** An event whose payload is JSON already, encoded as {@link TextEncoder} would. */
export const encodedEvent = (event: string, json: string): string =>
  `${parser.PacketType.EVENT}[${JSON.stringify(event)},${json}]`
