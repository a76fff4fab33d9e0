import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { ProviderEvent, Ton } from '../kernel/payment-ports.ts'
import { rawTonAddress } from './ton-address.ts'
import { callJson, upstreamFailed } from './upstream.ts'

const service = 'The TON network'
const pageSize = 100

/** Crockford's base 32: without letters that people read for others. */
const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const codeLength = 12

interface TonOptions {
  /** The wallet that is paid to, as wallets show it. */
  address: string
  /** Of toncenter's API v2, without a slash at its end. */
  apiUrl: string
  /** Lifts toncenter's limit of one request a second. */
  apiKey: string | undefined
  timeoutMs?: number
}

const place = z.object({ lt: z.string(), hash: z.string() })

const transaction = z.object({
  utime: z.int(),
  transaction_id: place,
  in_msg: z
    .object({
      /** Empty for what came from outside of the network: the owner's own orders. */
      source: z.string().default(''),
      destination: z.string().default(''),
      value: z.string().regex(/^\d+$/).default('0'),
      msg_data: z.object({ '@type': z.string(), text: z.string().optional() }).optional(),
    })
    .nullish(),
})

const history = z.object({ ok: z.literal(true), result: z.array(transaction) })

const transfer = z.object({ hash: z.string(), value: z.string(), source: z.string(), comment: z.string() })

/**
 * Transfers of TON, seen through toncenter's API v2 (https://docs.ton.org/ecosystem/api/toncenter). A payment is told by the
 * comment of the transfer: a code of 60 bits, made of our payment's id.
 */
export function createTon({ address, apiUrl, apiKey, timeoutMs }: TonOptions): Ton {
  const own = rawTonAddress(address)

  /** A transfer to us; undefined for all else that happens at an address. */
  function incoming(one: z.output<typeof transaction>): ProviderEvent | undefined {
    const {
      utime,
      transaction_id: { lt, hash },
      in_msg,
    } = one
    if (!in_msg || in_msg.source === '' || rawTonAddress(in_msg.destination) !== own) return undefined
    const { source, value, msg_data } = in_msg
    const comment = msg_data?.['@type'] === 'msg.dataText' ? Buffer.from(msg_data.text ?? '', 'base64').toString() : ''
    return { id: hash, type: 'transfer', payload: { hash, lt, utime, source, value, comment } }
  }

  return {
    name: 'ton',
    currency: 'TON',

    async begin({ paymentId, amount }) {
      const comment = tonComment(paymentId)
      const nanoton = String(amount)
      return {
        providerPaymentId: comment,
        url: `ton://transfer/${address}?amount=${nanoton}&text=${comment}`,
        details: { address, comment, nanoton },
      }
    },

    interpret({ payload }) {
      const { hash, value, source, comment } = transfer.parse(payload)
      const code = readComment(comment)
      if (!code) return undefined
      return {
        providerPaymentId: code,
        chargeId: hash,
        outcome: 'succeeded',
        amount: BigInt(value),
        currency: 'TON',
        details: { ton_tx_hash: hash, ton_amount: value, ton_source: source },
      }
    },

    async history(from) {
      const query = new URLSearchParams({
        address,
        limit: String(pageSize),
        // only some of the network's servers keep all of the past
        ...(from && { ...from, archival: 'true' }),
      })
      const answer = await callJson(service, `${apiUrl}/getTransactions?${query}`, {
        ...(apiKey && { headers: { 'X-API-Key': apiKey } }),
        timeoutMs,
      })
      const { data } = history.safeParse(answer)
      if (!data) throw upstreamFailed(service, new Error(`it refused: ${answer.code} ${answer.error}`))
      const { result } = data
      const last = result.at(-1)
      return {
        // a page begins with the transaction that the one before ended with
        transfers: result.flatMap((one) => incoming(one) ?? []).filter(({ id }) => id !== from?.hash),
        reachesTo: new Date((last?.utime ?? 0) * 1000),
        next: last && result.length === pageSize ? last.transaction_id : undefined,
      }
    },
  }
}

/** The comment that names a payment. */
export function tonComment(paymentId: string): string {
  const hash = createHash('sha256').update(paymentId).digest()
  return Array.from({ length: codeLength }, (_, i) => digits[(hash[i] as number) % digits.length]).join('')
}

/** The code in a comment that somebody may have typed by hand. */
function readComment(comment: string): string | undefined {
  const code = comment.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1')
  return code.length === codeLength && [...code].every((digit) => digits.includes(digit)) ? code : undefined
}
