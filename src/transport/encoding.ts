import * as parser from 'socket.io-parser'

/** An event's payload that is JSON already, so that it is encoded once for all sockets and all nodes. */
export class EncodedPayload {
  readonly json: string

  constructor(json: string) {
    this.json = json
  }
}

interface Packet {
  type: number
  nsp: string
  data?: unknown
  id?: number
}

/**
 * The standard encoding of Socket.IO for packets without binary data, of which this server sends none: clients see no
 * difference. Two things are left out: the search of every payload for binary parts, and encoding what is JSON already.
 */
class TextEncoder {
  encode(packet: Packet): string[] {
    const { type, nsp, id, data } = packet
    const head = `${type}${nsp === '/' ? '' : `${nsp},`}${id ?? ''}`
    if (data === undefined) return [head]
    if (Array.isArray(data) && data[1] instanceof EncodedPayload) {
      return [`${head}[${JSON.stringify(data[0])},${data[1].json}]`]
    }
    return [head + JSON.stringify(data)]
  }
}

/** For the `parser` option of the Socket.IO server. */
export const textParser = { ...parser, Encoder: TextEncoder }
