import type { Attachment } from '../media/media.contract.ts'
import { addressOf, answerOf, type RestAnswer, settle, unreachable } from './http.ts'

export interface UploadOptions {
  /** What the file is called; that of a `File` is known. */
  name?: string
  /** Told as the file leaves, in bytes; from the start again where it has to be sent again. */
  onProgress?(sent: number, total: number): void
  signal?: AbortSignal
}

interface Upload extends UploadOptions {
  file: Blob
  token: string | undefined
}

/**
 * Sends a file to the server at `url`, without reading the whole of it into memory. Throws `ApiError`, or the reason of
 * the signal.
 */
export async function sendFile(url: string, fetchFn: typeof fetch, upload: Upload): Promise<Attachment> {
  const { file, name = file instanceof File ? file.name : 'file', signal } = upload
  const form = new FormData()
  form.append('file', file, name)
  const address = addressOf(url, '/v1/uploads')
  try {
    signal?.throwIfAborted()
    // fetch of browsers does not tell how far it is
    const isInBrowser = typeof XMLHttpRequest !== 'undefined'
    return settle(
      await (isInBrowser ? byRequest(address, form, upload) : byFetch(address, fetchFn, form, upload)),
    ) as Attachment
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}

const headersOf = ({ token }: Upload): Record<string, string> => ({
  accept: 'application/json',
  ...(token !== undefined && { authorization: `Bearer ${token}` }),
})

function byRequest(address: string, form: FormData, upload: Upload): Promise<RestAnswer> {
  const { file, onProgress, signal } = upload
  const request = new XMLHttpRequest()
  const abort = (): void => request.abort()
  return new Promise<RestAnswer>((resolve, reject) => {
    request.open('POST', address)
    for (const [name, value] of Object.entries(headersOf(upload))) request.setRequestHeader(name, value)
    // The form is some bytes longer than the file.
    request.upload.onprogress = ({ loaded }) => onProgress?.(Math.min(loaded, file.size), file.size)
    request.onload = () => {
      const { status, responseText: text } = request
      resolve({ status, text, retryAfter: request.getResponseHeader('retry-after') })
    }
    request.onerror = () => reject(unreachable())
    request.onabort = () => reject(unreachable())
    signal?.addEventListener('abort', abort)
    request.send(form)
  }).finally(() => signal?.removeEventListener('abort', abort))
}

async function byFetch(address: string, fetchFn: typeof fetch, form: FormData, upload: Upload): Promise<RestAnswer> {
  const { onProgress, file, signal } = upload
  const headers = headersOf(upload)
  let body: BodyInit = form
  if (onProgress) {
    const encoded = new Response(form)
    headers['content-type'] = encoded.headers.get('content-type') ?? ''
    body = (encoded.body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(counted(file.size, onProgress))
  }
  const init = { method: 'POST', headers, body, duplex: 'half', ...(signal && { signal }) }
  try {
    return await answerOf(await fetchFn(address, init))
  } catch (cause) {
    throw unreachable(cause)
  }
}

/** Passes bytes on as they are taken, and tells how many. */
function counted(total: number, onProgress: NonNullable<UploadOptions['onProgress']>) {
  let passed = 0
  return new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      passed += chunk.byteLength
      controller.enqueue(chunk)
      onProgress(Math.min(passed, total), total)
    },
  })
}
