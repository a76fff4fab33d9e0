import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import Stripe from 'stripe'
import { createStripeWorld, type Parameters, Refusal, type StripeEvent } from './stripe-world.ts'

/** How the stand-in fails. What it does before it does not answer is done all the same, where `executed` says so. */
export interface Failure {
  how: 'timeout' | '500' | 'half' | 'reset'
  /** Method and path, such as `POST /v1/customers`; any unless given. */
  where?: RegExp
  /** How many requests; unless given, until `heal`. */
  times?: number
  executed?: boolean
}

const jsonType = { 'content-type': 'application/json' }

/**
 * A server on this machine that speaks the part of Stripe's HTTP API that the server uses: bearer key, form fields,
 * `Idempotency-Key` (the first answer again, failures as well; refused for other fields), refusals in its shapes, signed
 * webhooks. It knows no field that it was not told of, as Stripe, and fails on command.
 */
export async function startStripe({ clock = () => new Date() }: { clock?: () => Date } = {}) {
  const secretKey = `sk_test_${randomBytes(12).toString('hex')}`
  const webhookSecret = `whsec_${randomBytes(12).toString('hex')}`
  const world = createStripeWorld(clock)
  const sdk = new Stripe(secretKey)
  /** What was asked, in order, as `POST /v1/customers`. */
  const requests: string[] = []
  const answers = new Map<string, { fingerprint: string; status: number; body: string }>()
  let failure: Failure | undefined
  let gate: { where: RegExp; reached(): void; opened: Promise<void> } | undefined

  const server = createServer((request, response) => {
    void serve(request, response).catch((error: unknown) => {
      response.writeHead(500, jsonType).end(JSON.stringify({ error: { type: 'api_error', message: String(error) } }))
    })
  })

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://stripe.test')
    const asked = `${request.method} ${url.pathname}`
    requests.push(asked)
    const body = await text(request)
    const fails = takeFailure(asked)
    if (fails && !fails.executed) return fail(fails.how, response, '{}')
    const { status, body: answer } =
      fails?.how === '500'
        ? remembered(request, `${asked} ${body}`, () => serverError())
        : remembered(request, `${asked} ${body}`, () => execute(request, asked, body || url.search.slice(1)))
    if (fails && fails.how !== '500') return fail(fails.how, response, answer)
    if (gate?.where.test(asked)) {
      gate.reached()
      await gate.opened
    }
    response.writeHead(status, { ...jsonType, 'request-id': `req_${requests.length}` }).end(answer)
  }

  function takeFailure(asked: string): Failure | undefined {
    if (!failure || !(failure.where ?? /./).test(asked)) return undefined
    const taken = failure
    if (failure.times !== undefined && --failure.times <= 0) failure = undefined
    return taken
  }

  function fail(how: Failure['how'], response: ServerResponse, answer: string): void {
    if (how === 'timeout') return
    if (how === 'reset') return void response.socket?.destroy()
    if (how === '500') {
      const { status, body } = serverError()
      return void response.writeHead(status, jsonType).end(body)
    }
    response.writeHead(200, { ...jsonType, 'content-length': answer.length })
    response.write(answer.slice(0, Math.floor(answer.length / 2)), () => response.socket?.destroy())
  }

  /** The first answer to a key is the answer to it from then on. */
  function remembered(
    request: IncomingMessage,
    asked: string,
    work: () => { status: number; body: string },
  ): { status: number; body: string } {
    const key = request.headers['idempotency-key'] as string | undefined
    if (key === undefined || request.method !== 'POST') return work()
    const fingerprint = createHash('sha256').update(asked).digest('hex')
    const earlier = answers.get(key)
    if (earlier && earlier.fingerprint !== fingerprint) {
      const message =
        'Keys for idempotent requests can only be used with the same parameters they were first used with.'
      return { status: 400, body: JSON.stringify({ error: { type: 'idempotency_error', message } }) }
    }
    const answer = earlier ?? { fingerprint, ...work() }
    answers.set(key, answer)
    return answer
  }

  function execute(request: IncomingMessage, asked: string, form: string): { status: number; body: string } {
    try {
      if (request.headers.authorization !== `Bearer ${secretKey}`)
        throw new Refusal(401, { type: 'invalid_request_error', message: 'Invalid API Key provided' })
      const { route, id } = routeOf(asked)
      const endpoint = world.api[route]
      if (!endpoint)
        throw new Refusal(404, { type: 'invalid_request_error', message: `Unrecognized request: ${asked}` })
      const given = parseForm(form)
      const unknown = Object.keys(given).find((name) => !endpoint.takes.includes(name))
      if (unknown) {
        const code = 'parameter_unknown'
        throw new Refusal(400, {
          type: 'invalid_request_error',
          code,
          message: `Received unknown parameter: ${unknown}`,
        })
      }
      return { status: 200, body: JSON.stringify(endpoint.answer(given, id)) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { status: error.status, body: JSON.stringify(error.body) }
    }
  }

  function routeOf(asked: string): { route: string; id: string } {
    if (world.api[asked]) return { route: asked, id: '' }
    const [, before = '', id = '', rest = ''] = /^(.*\/)([a-z]+_[^/]+)(\/.*)?$/.exec(asked) ?? []
    return { route: `${before}:id${rest}`, id }
  }

  function sign(
    payload: string,
    { secret = webhookSecret, at = clock() }: { secret?: string; at?: Date } = {},
  ): string {
    const timestamp = Math.floor(at.getTime() / 1000)
    return sdk.webhooks.generateTestHeaderString({ payload, secret, timestamp })
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    ...world,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    secretKey,
    webhookSecret,
    requests,

    /** How often that was asked. */
    asked: (what: RegExp): number => requests.filter((request) => what.test(request)).length,

    fail(how: Failure): void {
      failure = how
    },

    heal(): void {
      failure = undefined
    },

    /**
     * Holds back the answers to such requests, as they are when they are asked for, until they are let go; `reached` settles
     * when the first one waits.
     */
    hold(where: RegExp): { reached: Promise<void>; letGo(): void } {
      let reach = (): void => {}
      let open = (): void => {}
      const reached = new Promise<void>((resolve) => {
        reach = resolve
      })
      const opened = new Promise<void>((resolve) => {
        open = resolve
      })
      gate = { where, reached: reach, opened }
      return {
        reached,
        letGo() {
          gate = undefined
          open()
        },
      }
    },

    /** An event as it is delivered: its bytes, and their signature by the SDK's own function. */
    signed(event: StripeEvent | object, how: { secret?: string; at?: Date } = {}): { body: string; signature: string } {
      const body = JSON.stringify(event)
      return { body, signature: sign(body, how) }
    },

    /** The signature of any text. */
    signedText: (payload: string): string => sign(payload),

    async close(): Promise<void> {
      gate = undefined
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export type TestStripe = Awaited<ReturnType<typeof startStripe>>

const serverError = () => ({
  status: 500,
  body: JSON.stringify({ error: { type: 'api_error', message: 'An unknown error occurred' } }),
})

/** Form fields as Stripe reads them: `items[0][price]=x` is `{ items: [{ price: 'x' }] }`. */
function parseForm(form: string): Parameters {
  const given: Parameters = {}
  for (const [name, value] of new URLSearchParams(form)) {
    const [first = '', ...rest] = name.replaceAll(']', '').split('[')
    const path = [first, ...rest]
    let place = given
    for (const [i, part] of path.entries()) {
      const next = path[i + 1]
      if (next === undefined) place[part] = value
      else {
        place[part] ??= /^\d+$/.test(next) ? [] : {}
        place = place[part]
      }
    }
  }
  return given
}
