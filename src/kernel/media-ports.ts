import type { Readable } from 'node:stream'
import type { Connection } from './connection.ts'
import type { AfterCommit } from './domain-events.ts'

export type MediaKind = 'image' | 'video' | 'audio' | 'file'

/** What of an attachment is fetched: the file, or a small still image of it. */
export type MediaVariant = 'original' | 'thumbnail'

/** Objects by their keys, on a disk or in a bucket. Neither puts nor gives a whole object through memory. */
export interface ObjectStore {
  /** Stores the bytes of a local file. Repeating does no harm, and nobody ever reads a part of an object. */
  put(key: string, file: string, facts: { bytes: number; mime: string }): Promise<void>
  /**
   * The object's bytes, or those from `start` to `end`, both included.
   * @throws AppError not_found where there is none, unavailable
   */
  open(key: string, range?: { start: number; end: number }): Promise<Readable>
  /** One that is not there is removed already. */
  remove(key: string): Promise<void>
  close(): void
}

/** What a file says of itself, by its bytes. */
export interface FileFacts {
  bytes: number
  /** SHA-256 of the bytes, in hex. */
  sha256: string
  /** Undefined: text, or nothing known. */
  mime: string | undefined
  /** Of video and audio, where it can be told. */
  durationMs: number | undefined
}

/** Looks into files, in a process of its own. */
export interface FileInspector {
  /** @throws AppError unsupported_media where the file leads it nowhere */
  inspect(file: string): Promise<FileFacts>
  close(): void
}

/** An image as it was made anew, and a thumbnail of it; both as files. */
export interface MadeImage {
  file: string
  mime: string
  width: number
  height: number
  /** WebP, of the first frame. */
  thumbnail: string
  /** A few hundred bytes: a `data:` address to show until the image is there. */
  preview: string
}

/** Makes images anew, in processes of its own: whatever else was in the file is gone afterwards. */
export interface ImageMaker {
  /** The types that it can read. */
  types: ReadonlySet<string>
  /**
   * Reads an image of one of its types and writes it, upright and without metadata, into the folder.
   * @throws AppError unsupported_media where it cannot be read, payload_too_large where it has too many pixels
   */
  make(file: string, mime: string, folder: string): Promise<MadeImage>
  close(): void
}

/** Addresses of media: good for a short time, for whoever has them. */
export interface MediaUrls {
  /** @param until the address is good no longer than that, however long others are */
  of(attachmentId: string, variant: MediaVariant, until?: Date): string
}

/** A feature that refers to attachments says so, for two questions that only it can answer. */
export interface AttachmentUse {
  /** Which of these it refers to. Asked in a transaction that has locked their rows. */
  usedAmong(em: Connection, attachmentIds: string[]): Promise<string[]>
  /** Whether the user may see it where the feature shows it, now; a Date where that ends by itself, and when. */
  isVisibleTo(userId: string, attachmentId: string): Promise<boolean | Date>
}

/** Attachments, for the features that refer to them. Implemented by media. */
export interface Attachments {
  /** Before the server takes requests. */
  declareUse(use: AttachmentUse): void
  /**
   * Holds an attachment of that owner's, until the transaction ends, for who begins to refer to it; gives its kind.
   * @throws AppError unprocessable where it is not the owner's, or of no kind that is wanted
   */
  hold(em: Connection, ownerId: string, attachmentId: string, wanted?: readonly MediaKind[]): Promise<MediaKind>
  /** These are referred to at one place less: those that nothing refers to any more go, after the commit. */
  release(em: Connection, attachmentIds: string[]): Promise<AfterCommit>
}
