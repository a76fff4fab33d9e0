import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Request, Response } from 'express'
import multer, { diskStorage, MulterError } from 'multer'
import type { Logger } from 'pino'
import { AppError } from '../kernel/errors.ts'
import type { ReceivedFile } from '../kernel/operation.ts'

/** Beside the file a form has boundaries and a few headers. */
const formBytes = 65_536
/**
 * So many forms are read at a time. Two hundred at once would come in no faster, hold up everything else for a tenth of a
 * second again and again, and fill half as much memory more.
 */
const readAtOnce = 16
/** A slow line holds up nobody: after so long it goes on beside the others, and its place is given on. */
const placeMs = 1_000
/** No request takes so long: what is older was left by a process that died. */
const leftOverMs = 3_600_000
/** So long what still comes is thrown away, for the answer to reach whoever is sending. */
const lingerMs = 5_000

/** A request whose body is a file. */
export type Receiving = Request & {
  takesFile?: boolean
  /** There from the moment on that something may have been received. */
  removeReceived?(): Promise<void>
}

/**
 * Takes the files of forms, each into a folder of its own below `scratch`. Whoever handles the request calls `removeReceived` in
 * the end, however it ends.
 */
export function createUploads({ scratch, log }: { scratch: string; log: Logger }) {
  void removeLeftOvers(scratch).catch((error: unknown) => {
    log.warn({ err: error }, 'what earlier uploads left behind was not removed')
  })

  const places = createPlaces()

  const removeFolder = (folder: string): Promise<void> =>
    rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch((error: unknown) => {
      log.warn({ err: error, folder }, 'a received file was not removed')
    })

  /** Reads a form with one file, called `file`. */
  async function receive(req: Receiving, res: Response, maxBytes: number): Promise<ReceivedFile> {
    if (Number(req.get('content-length') ?? 0) > maxBytes + formBytes) throw tooLarge(maxBytes)
    if (!req.is('multipart/form-data'))
      throw new AppError('unsupported_media', 'The body must be multipart/form-data, with a field `file`.')
    const folder = join(scratch, randomBytes(16).toString('hex'))
    req.removeReceived = () => removeFolder(folder)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const leave = await places.take()
    try {
      // who has gone meanwhile is heard of no more
      if (req.destroyed) throw wrongForm('the form broke off')
      await read(req, res, folder, maxBytes)
    } finally {
      leave()
    }
    const { file } = req
    if (!file) throw wrongForm('a file is missing')
    const { path, originalname: name, mimetype: mime, size: bytes } = file
    return { path, name, mime, bytes }
  }

  return { receive }
}

/** Lets so many in at a time, in the order in which they come. */
function createPlaces() {
  const waiting: (() => void)[] = []
  let taken = 0

  /** Settles when there is a place; to be given back by calling what it gives, and given on in any case after a while. */
  async function take(): Promise<() => void> {
    if (taken < readAtOnce) taken += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    let isHeld = true
    const leave = (): void => {
      clearTimeout(timer)
      if (!isHeld) return
      isHeld = false
      // whoever is next takes the place over
      const next = waiting.shift()
      if (next) next()
      else taken -= 1
    }
    const timer = setTimeout(leave, placeMs)
    return leave
  }

  return { take }
}

function read(req: Request, res: Response, destination: string, maxBytes: number): Promise<void> {
  const form = multer({
    storage: diskStorage({ destination: (_req, _file, done) => done(null, destination) }),
    limits: { files: 1, fields: 0, parts: 1, fileSize: maxBytes, fieldNameSize: 100, headerPairs: 20 },
    // a name with a path is refused, not cut
    preservePath: true,
    defParamCharset: 'utf8',
  })
  return new Promise((resolve, reject) => {
    // after a failure the rest is read before it is told; where nobody has said how much that is, it may never end
    let bytes = 0
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxBytes + formBytes) reject(tooLarge(maxBytes))
    })
    form.single('file')(req, res, (error: unknown) => {
      if (error === undefined) resolve()
      else if (error instanceof MulterError && error.code === 'LIMIT_FILE_SIZE') reject(tooLarge(maxBytes))
      else if (isOfServer(error)) reject(error)
      else reject(wrongForm('the form must have one file, called `file`, and nothing else'))
    })
  })
}

/** What failed on this side: the disk. */
const isOfServer = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && (error as NodeJS.ErrnoException).syscall !== 'read'

const tooLarge = (maxBytes: number): AppError =>
  new AppError('payload_too_large', `A file must be at most ${maxBytes} bytes.`)

const wrongForm = (message: string): AppError =>
  new AppError('invalid_request', `file: ${message}`, { errors: [{ path: 'file', message }] })

/**
 * Sends the answer to a request that is still being sent, and ends the connection. The answer goes first; were the connection
 * closed while bytes come in, the other side might see nothing but that.
 */
export function answerEarly(req: Request, res: Response, body: string): void {
  res.set({ Connection: 'close', 'Content-Length': String(Buffer.byteLength(body)) })
  res.write(body)
  const end = (): void => {
    clearTimeout(timer)
    res.end()
  }
  const timer = setTimeout(end, lingerMs)
  req.once('end', end).once('close', end).resume()
}

async function removeLeftOvers(scratch: string): Promise<void> {
  await mkdir(scratch, { recursive: true, mode: 0o700 })
  for (const name of await readdir(scratch)) {
    const path = join(scratch, name)
    const made = await stat(path).catch(() => undefined)
    if (made && Date.now() - made.mtimeMs > leftOverMs) await rm(path, { recursive: true, force: true })
  }
}
