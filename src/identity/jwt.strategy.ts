import type { KeyObject } from 'node:crypto'
import type { NextFunction, Request, Response } from 'express'
import passport from 'passport'
import { Strategy } from 'passport-jwt'
import type { Authentication } from '../kernel/ports.ts'
import { readClaims, refusal, verifyOptions } from './access-token.ts'
import type { LoginCheck } from './authenticator.ts'

/** Where the middleware leaves what it found. */
type AuthenticatedRequest = Request & { authentication?: Authentication }

/**
 * RFC 6750, section 2.1. Not passport-jwt's own extractor: its pattern takes quadratic time, 0.15 s for a header of 16 KB
 * without a space, which anyone may send.
 */
const bearerToken = ({ headers }: { headers: { authorization?: string | undefined } }): string | null =>
  /^Bearer +([\w.~+/=-]+)$/i.exec(headers.authorization ?? '')?.[1] ?? null

/**
 * Builds the Express middleware that verifies `Authorization: Bearer <access token>` by passport-jwt, under the same
 * options as the socket handshake and with the same second half. Sets `req.authentication`; a request without the header
 * goes on without it.
 *
 * Calls `next` with AppError unauthenticated, token_expired, banned or unavailable.
 */
export function createBearerAuthentication(key: KeyObject, { accept }: LoginCheck) {
  const strategy = new Strategy(
    // jsonwebtoken takes a KeyObject, only the types of passport-jwt do not know
    { ...verifyOptions, jwtFromRequest: bearerToken, secretOrKey: key as unknown as Buffer },
    (payload: unknown, done) => {
      Promise.resolve(payload)
        .then(readClaims)
        .then(accept)
        .then((authentication) => done(null, authentication), done)
    },
  )
  // By name, never as the object: passport hangs each request's callbacks on the strategy, and only one that it finds by
  // name gets an object of its own per request. Given the object, requests would answer for one another.
  const ownPassport = new passport.Passport().use('bearer', strategy)

  return (req: Request, res: Response, next: NextFunction): void => {
    const verified = (error: unknown, authentication: Authentication | false | null | undefined, info: unknown) => {
      if (error) return next(error)
      if (!authentication) return next(refusal(info))
      ;(req as AuthenticatedRequest).authentication = authentication
      next()
    }
    if (req.headers.authorization === undefined) next()
    else ownPassport.authenticate('bearer', { session: false }, verified)(req, res, next)
  }
}
