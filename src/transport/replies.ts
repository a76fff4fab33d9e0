import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { stringifySetCookie } from 'cookie'
import type { Response } from 'express'
import type { Logger } from 'pino'
import type { Route } from '../kernel/operation.ts'
import type { Reply, ReplyCookie } from '../kernel/reply.ts'

/** Writes what an operation gave to REST: as JSON unless route or reply say otherwise. */
export async function answer(
  res: Response,
  route: Route,
  { data, options }: Reply,
  { secure, log }: { secure: boolean; log: Logger },
): Promise<void> {
  const { headers = {}, cookies = [], stream } = options
  const writeHead = () => {
    res.status(options.status ?? route.status ?? 200)
    if (route.produces) res.type(route.produces)
    res.set(headers)
    setCookies(res, cookies, secure)
  }
  if (stream && res.req.method !== 'HEAD') return sendStream(stream, res, writeHead, log)
  stream?.destroy()
  writeHead()
  if (stream || hasNoBody(res.statusCode)) res.end()
  else if (route.produces) res.send(data)
  else res.json(asList(route.method, data))
}

/** Adds cookies to an answer, a refusal included. Secure: the browser keeps them from plain HTTP. */
export function setCookies(res: Response, cookies: ReplyCookie[], secure: boolean): void {
  for (const { name, value = '', maxAgeSeconds, path, sameSite } of cookies) {
    const life = value === '' ? { maxAge: 0 } : maxAgeSeconds !== undefined && { maxAge: maxAgeSeconds }
    res.append('Set-Cookie', stringifySetCookie({ name, value, path, sameSite, secure, httpOnly: true, ...life }))
  }
}

const hasNoBody = (status: number): boolean => status === 204 || (status >= 300 && status < 400)

/**
 * Sends a stream. What it fails with before its first byte is thrown, and so answered like any failure. Later the status
 * has been sent: then the connection is closed, which tells the caller that something is missing.
 */
async function sendStream(stream: Readable, res: Response, writeHead: () => void, log: Logger): Promise<void> {
  let callerLeft = false
  let begun = false
  const closed = () => {
    // else it was the stream that broke off, and took the connection with it
    callerLeft = !stream.destroyed || stream.readableEnded
    stream.destroy()
  }
  if (res.closed) closed()
  else res.once('close', closed)
  try {
    await Promise.race([once(stream, 'readable'), finished(stream)])
    begun = true
    writeHead()
    await pipeline(stream, res)
  } catch (error) {
    if (callerLeft) return
    if (!begun) throw error
    log.error({ err: error, requestId: res.get('X-Request-Id') }, 'an answer broke off')
  }
}

/** A page of REST is `{ items, nextCursor }`, whatever the socket command of the same operation calls its rows. */
function asList(method: string, data: unknown): unknown {
  if (method !== 'get' || typeof data !== 'object' || data === null || !('conversations' in data)) return data
  const { conversations, ...rest } = data
  return { items: conversations, ...rest }
}
