import { testForwarding } from './balancer/forwarding.ts'

testForwarding("Node's parser", true)
testForwarding('undici', false)
