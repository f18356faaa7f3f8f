import Channel
import Testing

@testable import VirtualMachine

struct MailboxTests {
    private func isBegan(_ delivery: Mailbox.Delivery?) -> Bool {
        if case .notice(.began) = delivery { true } else { false }
    }

    @Test func `What arrived before is there at once, in order, and closing comes last and stays`() async throws {
        let mailbox = Mailbox()
        mailbox.put(.notice(.began(step: 1)))
        mailbox.put(.closed)
        #expect(isBegan(try await mailbox.next(within: .seconds(60))))
        for _ in 1...2 {
            guard case .closed = try await mailbox.next(within: .seconds(60)) else {
                Issue.record("not closed")
                return
            }
        }
    }

    @Test func `A deadline without a delivery is nil, and what comes later is not lost`() async throws {
        let mailbox = Mailbox()
        #expect(try await mailbox.next(within: .milliseconds(1)) == nil)
        mailbox.put(.notice(.began(step: 1)))
        #expect(isBegan(try await mailbox.next(within: .seconds(60))))
    }

    @Test func `Nothing is lost between a deadline and a delivery`() async throws {
        let mailbox = Mailbox()
        let count = 200
        async let puts: Void = {
            for step in 1...count {
                mailbox.put(.notice(.began(step: step)))
                try? await Task.sleep(for: .microseconds(200))
            }
        }()
        var next = 1
        while next <= count {
            if case .notice(let notice) = try await mailbox.next(within: .microseconds(150)) {
                #expect(notice == .began(step: next))
                next += 1
            }
        }
        await puts
    }

    @Test func `A wait ends when its task is cancelled`() async throws {
        let mailbox = Mailbox()
        let task = Task { try await mailbox.next(within: .seconds(60)) == nil }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
