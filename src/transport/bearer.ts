import type { Request, RequestHandler } from 'express'
import type { Authentication, KeyAuthenticator } from '../kernel/ports.ts'

/**
 * Builds the middleware that lets REST callers in by `Authorization: Bearer`: an agent's key, which its prefix tells, or
 * anything else as an access token, by `tokens`. Sets `req.authentication`.
 *
 * Rejects with AppError unauthenticated or banned.
 */
export function createBearer({ tokens, keys }: { tokens: RequestHandler; keys: KeyAuthenticator }): RequestHandler {
  const scheme = new RegExp(`^Bearer +(${keys.prefix}[\\w-]+)$`, 'i')
  return async (req: Request & { authentication?: Pick<Authentication, 'actor'> }, res, next) => {
    const key = scheme.exec(req.headers.authorization ?? '')?.[1]
    if (key === undefined) return tokens(req, res, next)
    req.authentication = await keys.authenticate(key)
    next()
  }
}
