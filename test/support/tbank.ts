import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { startUpstream, type Upstream } from './upstream.ts'

/** An attempt at an order, as the bank keeps it; `refunds` are the names under which it was given back. */
interface Attempt {
  paymentId: string
  orderId: string
  amount: number
  status: string
  refunds: Set<string>
}

/**
 * Signs as the bank does, by its document: name-value pairs of the root without objects, the password among them, sorted by
 * name, values put together, SHA-256. Written apart from the code that checks it.
 */
export function signature(fields: Record<string, unknown>, password: string): string {
  const pairs = new Map<string, unknown>([...Object.entries(fields), ['Password', password]])
  pairs.delete('Token')
  let joined = ''
  for (const name of [...pairs.keys()].sort()) {
    const value = pairs.get(name)
    if (['string', 'number', 'boolean'].includes(typeof value)) joined += `${value}`
  }
  return createHash('sha256').update(joined, 'utf8').digest('hex')
}

/**
 * A stand-in for the part of T-Bank's acquiring API that the server uses: Init and Cancel, signed both ways. Each Init makes
 * a further attempt at its order, as long as none is paid.
 */
export async function startTbank(): Promise<TbankStandIn> {
  const terminalKey = '1234567890123DEMO'
  const password = 'usaf8fw8fsw21g'
  const attempts: Attempt[] = []
  let next = 3_093_639_000
  /** What becomes of a payment that is given back. */
  let refundStatus: TbankStandIn['refundStatus'] = 'REFUNDED'

  const refusal = (code: string, message: string) => ({
    body: { Success: false, ErrorCode: code, Message: message, Details: message, TerminalKey: terminalKey },
  })

  function init(fields: Record<string, unknown>) {
    const { OrderId, Amount, Description, PaymentType, RedirectDueDate } = fields
    if (typeof OrderId !== 'string' || OrderId.length > 36) return refusal('251', 'Неверный OrderId')
    if (!Number.isInteger(Amount) || Number(Amount) < 100) return refusal('308', 'Сумма меньше минимальной')
    if (String(Description).length > 140) return refusal('212', 'Неверный Description')
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/.test(String(RedirectDueDate)) || PaymentType !== undefined)
      return refusal('309', 'Неверные параметры')
    if (attempts.some(({ orderId, status }) => orderId === OrderId && status === 'CONFIRMED'))
      return refusal('8', 'Неверный статус транзакции')
    const paymentId = String(next++)
    attempts.push({ paymentId, orderId: OrderId, amount: Number(Amount), status: 'NEW', refunds: new Set() })
    const PaymentURL = `https://securepay.tinkoff.test/new/${paymentId}`
    return {
      body: {
        ...{ Success: true, ErrorCode: '0', TerminalKey: terminalKey, Status: 'NEW' },
        ...{ PaymentId: paymentId, OrderId, Amount, PaymentURL },
      },
    }
  }

  function cancel({ PaymentId, Amount, ExternalRequestId }: Record<string, unknown>) {
    const attempt = attempts.find(({ paymentId }) => paymentId === PaymentId)
    if (!attempt) return refusal('255', 'Неверный PaymentId')
    const { orderId, amount, refunds } = attempt
    const isRepeated = refunds.has(String(ExternalRequestId))
    if (!isRepeated && attempt.status !== 'CONFIRMED') return refusal('4', 'Не получится изменить статус платежа')
    if (Amount !== amount) return refusal('309', 'Неверные параметры')
    refunds.add(String(ExternalRequestId))
    attempt.status = refundStatus
    return {
      body: {
        ...{ Success: true, ErrorCode: '0', TerminalKey: terminalKey, Status: refundStatus, OrderId: orderId },
        ...{ PaymentId: Number(PaymentId), OriginalAmount: amount, NewAmount: 0, ExternalRequestId },
      },
    }
  }

  const upstream = await startUpstream(({ path, body }) => {
    if (body.TerminalKey !== terminalKey) return refusal('501', 'Терминал не найден')
    if (body.Token !== signature(body, password)) return refusal('204', 'Неверный токен')
    if (path === '/v2/Init') return init(body)
    if (path === '/v2/Cancel') return cancel(body)
    return { status: 404, body: { Success: false } }
  })

  return {
    ...upstream,
    apiUrl: `${upstream.url}/v2`,
    env: { TBANK_TERMINAL_KEY: terminalKey, TBANK_PASSWORD: password, TBANK_API_URL: `${upstream.url}/v2` },
    terminalKey,
    password,
    attempts,
    get refundStatus() {
      return refundStatus
    },
    set refundStatus(status: TbankStandIn['refundStatus']) {
      refundStatus = status
    },
    notification(orderId, status, changes = {}) {
      const attempt = attempts.findLast((one) => one.orderId === orderId)
      assert.ok(attempt, `no order ${orderId}`)
      if (status === 'CONFIRMED') attempt.status = status
      const fields = {
        ...{ TerminalKey: terminalKey, OrderId: orderId, Success: true, Status: status },
        ...{ PaymentId: Number(attempt.paymentId), ErrorCode: '0', Amount: attempt.amount, CardId: 10452089 },
        ...{ Pan: '430000******0777', ExpDate: '1230', Data: { Route: 'ACQ', Source: 'Cards' } },
        ...changes,
      }
      return JSON.stringify({ ...fields, Token: signature(fields, password) })
    },
  }
}

export interface TbankStandIn extends Upstream {
  apiUrl: string
  /** Leads a server here. */
  env: Record<string, string>
  terminalKey: string
  password: string
  attempts: Attempt[]
  /** What Cancel makes of a payment that came in, from now on. */
  refundStatus: 'REFUNDED' | 'ASYNC_REFUNDING'
  /** The signed body by which the bank tells of the latest attempt at an order; `changes` go in before it is signed. */
  notification(orderId: string, status: string, changes?: Record<string, unknown>): string
}
