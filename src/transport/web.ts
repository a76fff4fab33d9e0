import { existsSync, readdirSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import type { Readable } from 'node:stream'
import type { Request, RequestHandler, Response } from 'express'
import sirv from 'sirv'

/**
 * What the page may do. Its scripts, styles and images come from this server alone, and no text becomes code or markup but
 * through DOMPurify. `'self'` covers the socket too: every browser that runs what the page is built for takes it so.
 * Nothing is upgraded to HTTPS, since a server in one's own network is reached by plain HTTP.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types dompurify',
].join('; ')

const index = '/index.html'
const assets = '/assets/'

/** The addresses of operations, of which an unknown one is a mistake of a program. */
const isOfRest = (path: string): boolean => path === '/v1' || path.startsWith('/v1/')

/**
 * Whether a person is to see the page at an address that no file has: the page knows what it is, such as a conversation or
 * an invitation. Only what says so by name, as a browser does that goes there: scripts and programs send a bare asterisk.
 */
const isVisit = ({ path, headers }: Request): boolean =>
  !isOfRest(path) && !path.startsWith(assets) && (headers.accept ?? '').includes('text/html')

/**
 * Serves the web client from a folder of built files, beside which compressed ones may lie (`.br`, `.gz`). It looks at the
 * folder once: one that is built anew is served after the next start.
 * @returns undefined where the folder has no page
 */
export function createWeb(folder: string): RequestHandler | undefined {
  if (!existsSync(join(folder, index))) return undefined
  const paths = pathsIn(folder)
  const serve = sirv(folder, { etag: true, brotli: true, gzip: true })

  return (req, res, next) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') return next()
    const path = req.path === '/' ? index : req.path
    if (!paths.has(path) && !isVisit(req)) return next()
    if (!paths.has(path)) req.url = index
    // the files are small, and half of one is of no use
    delete req.headers.range
    setHeaders(res, path)
    // the folder may have been built anew since
    res.once('pipe', (file: Readable) => file.once('error', () => res.destroy()))
    serve(req, res, next)
  }
}

/** Set before the file is looked at, so that an answer without a body, which renews what is cached, has them too. */
function setHeaders(res: Response, path: string): void {
  res.set({
    'Content-Security-Policy': contentSecurityPolicy,
    'Referrer-Policy': 'no-referrer',
    'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
    // the name of an asset holds the sum of what is in it
    'Cache-Control': path.startsWith(assets) ? 'public, max-age=31536000, immutable' : 'no-cache',
  })
}

/** The addresses of the files, but for those that are hidden or stand beside another one in its place. */
function pathsIn(folder: string): ReadonlySet<string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map(({ parentPath, name }) => `/${relative(folder, join(parentPath, name)).split(sep).join('/')}`)
  return new Set(paths.filter((path) => !path.includes('/.') && !/\.(br|gz)$/.test(path)))
}
