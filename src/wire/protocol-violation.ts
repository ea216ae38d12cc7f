/** What a peer sent is not what the protocol allows. Its message is for the log and names the thing. */
export class ProtocolViolation extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ProtocolViolation";
  }
}
