import { AppError } from '../kernel/errors.ts'

/** Whoever asks is still there, and has not yet asked again. */
const patienceMs = 10_000

/**
 * Calls another service's JSON API. What an answer below 500 means is the caller's to say, by its body.
 * @param service its name, for people
 * @throws AppError upstream_failed: no answer in time (10 s unless given), a fault of the service, half an answer, or no JSON object
 */
export async function callJson(
  service: string,
  address: string,
  {
    body,
    headers,
    timeoutMs = patienceMs,
  }: { body?: object; headers?: Record<string, string>; timeoutMs?: number } = {},
): Promise<Record<string, unknown>> {
  let response: Response
  let text: string
  try {
    response = await fetch(address, {
      method: body ? 'POST' : 'GET',
      headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
      // an address that leads elsewhere is wrongly configured; secrets do not follow it
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    text = await response.text()
  } catch (error) {
    throw upstreamFailed(service, error)
  }
  if (response.status >= 500) throw upstreamFailed(service, new Error(`it answered ${response.status}`))
  const answer = jsonIn(text)
  if (typeof answer !== 'object' || answer === null)
    throw upstreamFailed(service, new Error(`it answered ${response.status}, and no JSON object`))
  return answer as Record<string, unknown>
}

/** @param cause for the log: names no secret */
export const upstreamFailed = (service: string, cause: unknown): AppError =>
  new AppError('upstream_failed', `${service} does not answer as it should. Try again later.`, { cause })

/** What the text says as JSON; undefined where it says nothing. */
export function jsonIn(text: string | Buffer): unknown {
  try {
    return JSON.parse(text.toString())
  } catch {
    return undefined
  }
}
