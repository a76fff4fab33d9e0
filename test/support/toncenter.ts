import { createHash } from 'node:crypto'
import { startUpstream, type Upstream } from './upstream.ts'

/** A transfer that somebody makes. */
export interface Transfer {
  value: bigint
  comment?: string
  /** To us, unless given. */
  destination?: string
  at?: Date
}

export interface TonStandIn extends Upstream {
  /** Leads a server here. */
  env: Record<string, string>
  address: string
  apiUrl: string
  /** Puts a transfer into the chain; gives its hash. */
  transfer(transfer: Transfer): string
  /** Forgets what was before: another chain begins. */
  clear(): void
  /** The owner of the address sends something away. */
  spend(at?: Date): void
}

/** A wallet that is in nobody's hands. */
export const tonAddress = 'UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKZ'
/** The same in the spelling that toncenter answers in. */
const bounceable = 'EQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM9c'
/** Somebody else's. */
export const strangersAddress = 'UQAHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHB5-k'

interface Transaction {
  utime: number
  transaction_id: { '@type': string; lt: string; hash: string }
  in_msg: object
}

/**
 * A stand-in for the part of toncenter's API v2 that the server uses: getTransactions of an address, the newest first; a
 * page that is asked for by place begins with the transaction at that place.
 */
export async function startToncenter(): Promise<TonStandIn> {
  /** The newest last. */
  const chain: Transaction[] = []
  let time = 66_000_000_000_000

  function add(in_msg: object, at: Date): string {
    time += 1000
    const lt = String(time)
    const hash = createHash('sha256').update(lt).digest('base64')
    const transaction = {
      ...{
        '@type': 'raw.transaction',
        data: 'te6cckEBAQEAAgAAAEysuc0=',
        fee: '2355',
        storage_fee: '0',
        other_fee: '2355',
      },
      ...{
        address: { '@type': 'accountAddress', account_address: bounceable },
        utime: Math.floor(at.getTime() / 1000),
      },
      ...{ transaction_id: { '@type': 'internal.transactionId', lt, hash }, in_msg, out_msgs: [] },
    }
    chain.push(transaction)
    return hash
  }

  const upstream = await startUpstream(({ path, query }) => {
    const refusal = (status: number, error: string) => ({ status, body: { ok: false, error, code: status } })
    if (path !== '/api/v2/getTransactions') return refusal(404, 'not found')
    if (query.get('address') !== tonAddress) return refusal(416, 'invalid address')
    const limit = Number(query.get('limit'))
    if (!(limit >= 1 && limit <= 100)) return refusal(422, 'limit should be less or equal 100')
    const newestFirst = chain.toReversed()
    const lt = query.get('lt')
    const start = lt === null ? 0 : newestFirst.findIndex(({ transaction_id }) => transaction_id.lt === lt)
    if (start < 0 || (lt !== null && newestFirst[start]?.transaction_id.hash !== query.get('hash')))
      return refusal(500, 'LITE_SERVER_UNKNOWN: cannot locate transaction in block with specified logical time')
    return { body: { ok: true, result: newestFirst.slice(start, start + limit) } }
  })

  return {
    ...upstream,
    address: tonAddress,
    apiUrl: `${upstream.url}/api/v2`,
    env: { TON_ADDRESS: tonAddress, TON_API_URL: `${upstream.url}/api/v2` },
    transfer({ value, comment, destination = bounceable, at = new Date() }) {
      const text = Buffer.from(comment ?? '').toString('base64')
      return add(
        {
          ...{ '@type': 'raw.message', source: strangersAddress, destination, value: String(value), fwd_fee: '266669' },
          message: comment ?? '',
          msg_data:
            comment === undefined
              ? { '@type': 'msg.dataRaw', body: 'te6cckEBAQEAAgAAAEysuc0=', init_state: '' }
              : { '@type': 'msg.dataText', text },
        },
        at,
      )
    },
    clear() {
      chain.length = 0
      upstream.requests.length = 0
    },
    spend: (at = new Date()) =>
      void add(
        {
          ...{ '@type': 'raw.message', source: '', destination: bounceable, value: '0', message: 'signed' },
          msg_data: { '@type': 'msg.dataRaw', body: 'te6cckEBAQEAAgAAAEysuc0=', init_state: '' },
        },
        at,
      ),
  }
}
