import Foundation
import TestSupport
import Testing

/// A page in a browser: what a visitor can do with it, and can see of it.
struct BrowserPage {
    /// A key of the keyboard.
    enum Key: String {
        case tab = "Tab"
        case enter = "Enter"
    }

    private struct Target: Decodable {
        let targetId: String
    }

    private struct Session: Decodable {
        let sessionId: String
    }

    private struct Evaluation: Decodable {
        struct Value: Decodable {
            let value: String?
        }

        struct Exception: Decodable {
            let text: String
        }

        let result: Value
        let exceptionDetails: Exception?
    }

    private struct Point: Decodable {
        let x: Double
        let y: Double
    }

    private let devTools: DevToolsPipe
    private let session: String

    init(_ address: String, over devTools: DevToolsPipe) async throws {
        self.devTools = devTools
        let target: Target = try await devTools.call("Target.createTarget", ["url": "about:blank"])
        let session: Session = try await devTools.call(
            "Target.attachToTarget", ["targetId": target.targetId, "flatten": true])
        self.session = session.sessionId
        for domain in ["Page", "Runtime", "Log"] { try await self.tell("\(domain).enable") }
        try await self.tell("Page.navigate", ["url": address])
        try await eventually("The page is there") {
            try await self.evaluate("location.href !== 'about:blank' && document.readyState === 'complete'")
        }
    }

    /// Makes the window as small as that of a phone.
    func shrink(toWidth width: Int) async throws {
        try await self.tell(
            "Emulation.setDeviceMetricsOverride",
            ["width": width, "height": 740, "deviceScaleFactor": 1, "mobile": true])
    }

    /// Clicks on the middle of a button, wherever it is by then.
    func click(_ button: String) async throws {
        let middle: Point = try await self.evaluate(
            """
            (() => {
              const button = [...document.querySelectorAll('button')].find((it) => it.innerText === '\(button)');
              button.scrollIntoView({ block: 'center', behavior: 'instant' });
              const box = button.getBoundingClientRect();
              return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
            })()
            """)
        for type in ["mousePressed", "mouseReleased"] {
            try await self.tell(
                "Input.dispatchMouseEvent",
                ["type": type, "x": middle.x, "y": middle.y, "button": "left", "clickCount": 1])
        }
    }

    func press(_ key: Key) async throws {
        var event: [String: Any] = ["key": key.rawValue, "code": key.rawValue]
        switch key {
        case .tab: event["windowsVirtualKeyCode"] = 9
        case .enter: event.merge(["windowsVirtualKeyCode": 13, "text": "\r"]) { $1 }
        }
        for type in ["keyDown", "keyUp"] {
            event["type"] = type
            try await self.tell("Input.dispatchKeyEvent", event)
        }
    }

    /// The texts that a visitor sees in the elements which a selector finds.
    func texts(_ selector: String) async throws -> [String] {
        try await self.evaluate("[...document.querySelectorAll('\(selector)')].map((it) => it.innerText)")
    }

    /// The value of a JavaScript expression.
    func evaluate<Value: Decodable>(_ expression: String) async throws -> Value {
        let evaluation: Evaluation = try await self.devTools.call(
            "Runtime.evaluate", ["expression": "JSON.stringify(\(expression))", "returnByValue": true],
            session: self.session)
        guard let value = evaluation.result.value else {
            throw DevToolsError("\(expression): \(evaluation.exceptionDetails?.text ?? "no value")")
        }
        return try JSONDecoder().decode(Value.self, from: Data(value.utf8))
    }

    /// What the browser's console shows, except for the refusals that the page is there to get.
    var complaints: [String] {
        self.devTools.events.map { String(decoding: $0, as: UTF8.self) }.filter { event in
            let isComplaint = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"].contains {
                event.contains("\"method\":\"\($0)\"")
            }
            return isComplaint && ![409, 422].contains { event.contains("responded with a status of \($0)") }
        }
    }

    private func tell(_ method: String, _ parameters: [String: Any] = [:]) async throws {
        try await self.devTools.tell(method, parameters, session: self.session)
    }
}
