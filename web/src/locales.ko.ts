import account from '../locales/ko/account.json'
import ai from '../locales/ko/ai.json'
import billing from '../locales/ko/billing.json'
import common from '../locales/ko/common.json'
import conversations from '../locales/ko/conversations.json'
import errors from '../locales/ko/errors.json'
import messages from '../locales/ko/messages.json'
import signIn from '../locales/ko/sign-in.json'
import stories from '../locales/ko/stories.json'

/** The texts of one language, by area. */
export const resources = { account, ai, billing, common, conversations, errors, messages, signIn, stories }
